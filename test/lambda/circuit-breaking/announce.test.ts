import { describe, expect, it } from '@jest/globals';
import { announcer } from '../../../lambda/circuit-breaking/announce';
import type { BusEvent, StateChange } from '../../../lambda/circuit-breaking/state-change';

const at = Date.parse('2026-11-23T12:00:00Z');
const OPENED: StateChange = { backend: 'gpu', from: 'closed', to: 'open', at, reason: 'calls', openUntil: at + 30_000 };
const CLOSED: StateChange = { backend: 'gpu', from: 'half_open', to: 'closed', at, reason: 'calls' };

describe('a breaker that changed', () => {
  it('is logged, and published as an event that rules can match', async () => {
    const logged: StateChange[] = [];
    const published: BusEvent[] = [];
    await announcer({
      service: 'inference',
      log: (change) => logged.push(change),
      publish: (events) => Promise.resolve(void published.push(...events)),
      warn: () => undefined,
    })([OPENED, CLOSED]);
    expect(logged).toEqual([OPENED, CLOSED]);
    const event = { source: 'cdk-inference-platform', detailType: 'Circuit Breaker State Change', time: at };
    const detail = { service: 'inference', backend: 'gpu', at: '2026-11-23T12:00:00.000Z', reason: 'calls' };
    expect(published).toEqual([
      { ...event, detail: { ...detail, from: 'closed', to: 'open', openUntil: '2026-11-23T12:00:30.000Z' } },
      { ...event, detail: { ...detail, from: 'half_open', to: 'closed' } },
    ]);
  });

  it('is logged where no bus is set', async () => {
    const logged: StateChange[] = [];
    const announce = announcer({
      service: 's',
      log: (change) => logged.push(change),
      warn: () => {
        throw new Error('nothing to warn of');
      },
    });
    await announce([OPENED]);
    expect(logged).toEqual([OPENED]);
  });

  it('leaves a warning, and no failure, where it cannot be published', async () => {
    const warnings: string[] = [];
    const announce = announcer({
      service: 's',
      log: () => undefined,
      publish: () => Promise.reject(new Error('no way')),
      warn: ({ message }) => warnings.push(message),
    });
    await announce([OPENED]);
    expect(warnings).toEqual(['no way']);
  });

  it('is not published where nothing changed', async () => {
    let calls = 0;
    const publish = () => Promise.resolve(void (calls += 1));
    await announcer({ service: 's', log: () => undefined, publish, warn: () => undefined })([]);
    expect(calls).toBe(0);
  });
});
