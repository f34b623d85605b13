import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidRequest, parseControlRequest } from '../../../lambda/circuit-breaking/override';

const BACKENDS = ['llama-gpu', 'backup'];
const parse = (request: unknown) => parseControlRequest(request, BACKENDS);

describe('a request of an operator', () => {
  it.each([
    ['a report on all', {}, { kind: 'report', backends: BACKENDS }],
    ['a report on one', { backend: 'backup' }, { kind: 'report', backends: ['backup'] }],
    [
      'an override with an end',
      { backend: 'llama-gpu', force: 'open', forSeconds: 600 },
      { kind: 'override', backend: 'llama-gpu', force: 'open', forMs: 600_000 },
    ],
    [
      'an override without an end',
      { backend: 'backup', force: 'closed' },
      { kind: 'override', backend: 'backup', force: 'closed' },
    ],
    [
      'the withdrawal of one',
      { backend: 'backup', force: 'none' },
      { kind: 'override', backend: 'backup', force: 'none' },
    ],
  ])('is %s', (_, request, parsed) => {
    expect(parse(request)).toEqual(parsed);
  });

  it.each([
    [
      { backend: 'gpu', force: 'open' },
      'backend: must name a backend of the policy ("llama-gpu", "backup"), got "gpu"',
    ],
    [{ backend: 7 }, 'backend: must name a backend of the policy ("llama-gpu", "backup"), got 7'],
    [{ force: 'open' }, 'backend: is required with force: name the backend whose breaker is meant'],
    [{ backend: 'backup', force: 'shut' }, 'force: must be one of "open", "closed", "none", got "shut"'],
    [
      { backend: 'backup', force: 'open', forSeconds: 0 },
      'forSeconds: must be a whole number of 1 to 604800, or left out for as long as it is not withdrawn, got 0',
    ],
    [
      { backend: 'backup', force: 'open', forSeconds: '60' },
      'forSeconds: must be a whole number of 1 to 604800, or left out for as long as it is not withdrawn, got "60"',
    ],
    [
      { backend: 'backup', force: 'none', forSeconds: 60 },
      'forSeconds: must be left out with force "none", which withdraws an override at once',
    ],
    [{ backend: 'backup', forSeconds: 60 }, 'forSeconds: goes with force: say what the breaker shall do for that long'],
    [
      { backend: 'backup', force: 'open', forSecond: 60 },
      'forSecond: is no field of a request; the fields are backend, force and forSeconds',
    ],
    ['backup', 'must be an object such as {"backend": "llama-gpu"}, got "backup"'],
    [[], 'must be an object such as {"backend": "llama-gpu"}, got []'],
    [undefined, 'must be an object such as {"backend": "llama-gpu"}, got undefined'],
  ])('%j is refused with what to write instead', (request, message) => {
    expect(() => parse(request)).toThrow(new InvalidRequest([message]));
  });

  it('is told all that is wrong with it', () => {
    expect(() => parse({ backend: 'gpu', force: 'shut', forSeconds: -1, x: 1 })).toThrow(
      /^x: .*\nbackend: .*\nforce: .*\nforSeconds: .*$/,
    );
  });

  it('never overrides a backend that is not of the policy, whatever it says', () => {
    const field = fc.oneof(fc.constantFrom('open', 'none', 'backup', 60), fc.jsonValue());
    const requests = fc.record({ backend: field, force: field, forSeconds: field }, { requiredKeys: [] });
    fc.assert(
      fc.property(requests, (request) => {
        try {
          const parsed = parse(request);
          const named = parsed.kind === 'report' ? parsed.backends : [parsed.backend];
          for (const name of named) expect(BACKENDS).toContain(name);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidRequest);
        }
      }),
    );
  });
});
