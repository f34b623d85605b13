import { describe, expect, it } from '@jest/globals';
import {
  type BreakerReading,
  effectiveOpenUntil,
  effectiveStatus,
  reportOf,
} from '../../../lambda/circuit-breaking/breaker-report';
import { backend } from '../policy';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const IDLE: BreakerReading = {
  now: NOW,
  status: 'closed',
  openUntil: 0,
  window: '',
  cooldownUntil: 0,
  forced: '',
  forcedUntil: 0,
};
const report = (reading: Partial<BreakerReading>, size = 100) =>
  reportOf('gpu', { ...IDLE, ...reading }, backend({ breaker: { window: { kind: 'count' as never, size } } }).breaker);

describe('a report on a breaker', () => {
  it('says of one that nobody has called that it is closed', () => {
    expect(report({})).toEqual({
      backend: 'gpu',
      status: 'closed',
      forced: 'none',
      window: { calls: 0, failed: 0, slow: 0 },
    });
  });

  it('says until when it is open, overridden and cooling down', () => {
    const until = { openUntil: NOW + 1000, forcedUntil: NOW + 2000, cooldownUntil: NOW + 3000 };
    expect(report({ ...until, status: 'open', forced: 'closed' })).toMatchObject({
      status: 'open',
      openUntil: '2026-11-23T12:00:01.000Z',
      forced: 'closed',
      forcedUntil: '2026-11-23T12:00:02.000Z',
      cooldownUntil: '2026-11-23T12:00:03.000Z',
    });
  });

  it('leaves out what has run out, and the end of an override that has none', () => {
    const over = report({ forced: 'open', forcedUntil: NOW, cooldownUntil: NOW });
    expect(over).toEqual({ ...report({}) });
    const endless = report({ forced: 'open' });
    expect([endless.forced, 'forcedUntil' in endless]).toEqual(['open', false]);
  });

  it('counts the outcomes of a window of calls', () => {
    expect(report({ window: 'ssfflb' }).window).toEqual({ calls: 6, failed: 3, slow: 2 });
  });

  it('counts those of a window of time whose steps have not passed', () => {
    // 120 s in steps of 2 s.
    const step = NOW / 2000;
    const window = `${step - 60}:100:100:100;${step - 59}:4:1:0;${step}:6:2:3;`;
    expect(report({ window }, 120).window).toEqual({ calls: 10, failed: 3, slow: 3 });
  });
});

describe('what a breaker does with calls', () => {
  it('is what an operator says, for as long as that holds', () => {
    const open: BreakerReading = { ...IDLE, status: 'open', openUntil: NOW + 1000 };
    expect([effectiveStatus(open), effectiveOpenUntil(open)]).toEqual(['open', NOW + 1000]);
    const forced: BreakerReading = { ...open, forced: 'closed', forcedUntil: NOW + 1 };
    expect([effectiveStatus(forced), effectiveOpenUntil(forced)]).toEqual(['closed', undefined]);
    expect(effectiveStatus({ ...forced, forcedUntil: NOW })).toBe('open');
    const held: BreakerReading = { ...open, forced: 'open' };
    expect([effectiveStatus(held), effectiveOpenUntil(held)]).toEqual(['open', undefined]);
  });
});
