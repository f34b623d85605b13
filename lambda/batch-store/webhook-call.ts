/** Who is called waits for no work of its own before it answers. */
const TIMEOUT_MS = 10_000;

/**
 * Calls an address by POST, and gives the status of its answer. A redirect is not followed: what was reviewed is called,
 * and nothing else.
 *
 * @throws where there is no answer in time
 */
export async function callWebhook(
  address: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(address, { method: 'POST', headers, body, signal, redirect: 'manual' });
  await answer.body?.cancel();
  return answer.status;
}
