/** What is known about the request that is answered without a model. */
export interface DegradedRequest {
  readonly endpoint: 'chat' | 'completions';
  readonly model: string;
  readonly stream: boolean;
  readonly id: string;
  /** Time of the answer, in milliseconds. */
  readonly now: number;
}

/**
 * The declared answer in the shape that the client waits for, so that its code needs no other way. Nothing was computed,
 * so its usage is zero.
 */
export function degradedAnswer(text: string, request: DegradedRequest): { contentType: string; body: string } {
  const common = { id: `degraded-${request.id}`, created: Math.floor(request.now / 1000), model: request.model };
  const { object, choice } = shapes(text, request);
  if (!request.stream) {
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    const body = {
      ...common,
      object,
      choices: [{ index: 0, ...choice, finish_reason: 'stop', logprobs: null }],
      usage,
    };
    return { contentType: 'application/json', body: JSON.stringify(body) };
  }
  const event = (part: object, finish: 'stop' | null) =>
    `data: ${JSON.stringify({ ...common, object, choices: [{ index: 0, ...part, finish_reason: finish }] })}\n\n`;
  const empty = request.endpoint === 'chat' ? { delta: {} } : { text: '' };
  return { contentType: 'text/event-stream', body: `${event(choice, null)}${event(empty, 'stop')}data: [DONE]\n\n` };
}

function shapes(text: string, { endpoint, stream }: DegradedRequest): { object: string; choice: object } {
  if (endpoint === 'completions') return { object: 'text_completion', choice: { text } };
  const message = { role: 'assistant', content: text };
  return stream
    ? { object: 'chat.completion.chunk', choice: { delta: message } }
    : { object: 'chat.completion', choice: { message: { ...message, refusal: null } } };
}
