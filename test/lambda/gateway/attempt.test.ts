import { describe, expect, it } from '@jest/globals';
import { attempt } from '../../../lambda/gateway/attempt';
import type { BackendAnswer } from '../../../lambda/gateway/backend-port';
import { HangUp } from '../../../lambda/gateway/hang-up';
import { parseInferenceRequest } from '../../../lambda/gateway/inference-request';
import { backend, policy } from '../policy';

const request = parseInferenceRequest(
  'chat',
  { model: 'llama', messages: [{ role: 'user', content: 'Hello' }] },
  policy().models,
);

/** What an attempt makes of an answer with this status and these headers. */
function madeOf(status: number, headers: BackendAnswer['headers']) {
  const answer: BackendAnswer = {
    status,
    headers,
    firstByteMs: 1,
    body: (async function* () {
      yield await Promise.resolve(Buffer.from('{}'));
    })(),
    discard: () => undefined,
  };
  const context = {
    ...{ call: () => Promise.resolve(answer), requestId: 'r', signal: new HangUp() },
    ...{ now: () => 0, mostEntryBytes: 1024 },
  };
  return attempt(backend({ breaker: { maxCooldownMs: 5000 } }), request, context);
}

describe('a call that a backend refuses', () => {
  const busy = { kind: 'failed', reason: 'backend_busy', outcome: 'ignored', retriable: false };

  it('for being busy says how long to leave it alone, within what the policy believes', async () => {
    expect(await madeOf(429, { 'retry-after': '2' })).toEqual({ ...busy, cooldownMs: 2000 });
    expect(await madeOf(429, { 'retry-after': '2000' })).toEqual({ ...busy, cooldownMs: 5000 });
    expect(await madeOf(429, {})).toEqual(busy);
  });

  it('for being broken counts as failed, whenever it wants to be asked again', async () => {
    const failed = { kind: 'failed', reason: 'backend_error', outcome: 'failure', retriable: true };
    expect(await madeOf(503, { 'retry-after': '2' })).toEqual(failed);
  });
});
