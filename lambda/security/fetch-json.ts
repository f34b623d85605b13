/**
 * Reads a JSON document from an address, whatever it may hold.
 *
 * @throws where the address cannot be reached before the signal, or answers anything but 200 and JSON
 */
export type FetchJson = (url: string, signal: AbortSignal) => Promise<unknown>;

/** Reads documents by HTTP. A redirect is a failure: it would leave the address that was reviewed. */
export function fetchJson(request: typeof fetch): FetchJson {
  return async (url, signal) => {
    // A function is frozen between calls, and a connection that it kept may be dead when it is thawed.
    const headers = { accept: 'application/json', connection: 'close' };
    const response = await request(url, { headers, redirect: 'error', signal });
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
    return response.json();
  };
}
