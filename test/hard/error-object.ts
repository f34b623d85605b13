/** What is wrong with the answer to a malformed request; undefined where it is a 4xx with OpenAI's error object. */
export function faultOfRefusal(status: number, text: string): string | undefined {
  if (status < 400 || status > 499) return `status ${status}`;
  let body: { readonly error?: Readonly<Record<string, unknown>> };
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    return `no JSON: ${text.slice(0, 80)}`;
  }
  const { message, type, param, code } = body.error ?? {};
  const isComplete = typeof message === 'string' && message !== '' && typeof type === 'string';
  const hasRest = [param, code].every((field) => field === null || typeof field === 'string');
  if (!isComplete || !hasRest) return `no error object: ${text.slice(0, 80)}`;
  return /\bat .+:\d+:\d+|node_modules/.test(text) ? `a stack trace: ${text.slice(0, 80)}` : undefined;
}
