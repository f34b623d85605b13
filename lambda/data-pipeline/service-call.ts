/** A request that the caller has to put right. */
export class BadRequest extends Error {
  public override readonly name = 'BadRequest';

  /** @param param the field that is wrong, where it is one */
  public constructor(
    message: string,
    public readonly param?: string,
  ) {
    super(message);
  }
}

/** There is nothing yet to answer from: no failure, which would open the gateway's breaker, and no fault of the caller. */
export class NothingPublished extends Error {
  public override readonly name = 'NothingPublished';
}

/** What an Application Load Balancer hands to a function. */
export interface BalancerEvent {
  readonly requestContext: { readonly elb: object };
  readonly httpMethod: string;
  readonly path: string;
  readonly body?: string | null;
  readonly isBase64Encoded?: boolean;
}

/** What it wants back. */
export interface BalancerAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded: false;
}

/** Whether an answer can be sent to whoever asks. */
export type Fits = (body: object) => boolean;

/**
 * As many bytes as a load balancer takes of a function, its answer as a whole: 1 MB, and what is larger is a 502.
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
 */
const MOST_ANSWER_BYTES = 1_000_000;

/**
 * Answers a call of a service, from a load balancer as HTTP, or from whoever may invoke the function as an object. A
 * refusal has the form of OpenAI's errors, which the gateway passes on with its words. An answer that is too large for the load
 * balancer is one: the failure that it would be there opens the breaker for everybody.
 *
 * @param event what the function was invoked with: the request itself, unless it comes from a load balancer
 * @param serve answers a request; throws {@link BadRequest} for one that is wrong, {@link NothingPublished} where it is too early;
 *   is given what tells whether an answer is small enough, to say better what to ask for
 * @param failed told of every other failure, which is answered with 503 so that the gateway's breaker counts it
 */
export async function answerService(
  event: unknown,
  serve: (request: unknown, fits: Fits) => Promise<object>,
  failed: (error: unknown) => void,
): Promise<object> {
  if (!isBalancerEvent(event)) return serve(event, () => true);
  if (event.httpMethod !== 'POST') return refusal(405, `the method must be POST, got ${event.httpMethod}`);
  const request = bodyOf(event);
  if (request === undefined) return refusal(400, 'the body must be JSON');
  try {
    const body = await serve(request, fitsBalancer);
    return fitsBalancer(body) ? answer(200, body) : refusal(400, 'the answer would be larger than 1 MB: ask for less');
  } catch (error) {
    if (error instanceof BadRequest) return refusal(400, error.message, { param: error.param });
    if (error instanceof NothingPublished) return refusal(404, error.message, { code: 'nothing_published' });
    failed(error);
    return refusal(503, 'the service cannot answer now');
  }
}

function isBalancerEvent(event: unknown): event is BalancerEvent {
  const context = (event as { readonly requestContext?: { readonly elb?: unknown } } | null)?.requestContext;
  return typeof context?.elb === 'object';
}

function fitsBalancer(body: object): boolean {
  return Buffer.byteLength(JSON.stringify(answer(200, body))) <= MOST_ANSWER_BYTES;
}

function bodyOf({ body, isBase64Encoded }: BalancerEvent): unknown {
  try {
    return JSON.parse(isBase64Encoded ? Buffer.from(body ?? '', 'base64').toString() : (body ?? '')) as unknown;
  } catch {
    return undefined;
  }
}

function refusal(
  statusCode: number,
  message: string,
  { param = null, code = null }: { readonly param?: string | null; readonly code?: string | null } = {},
): BalancerAnswer {
  const type = statusCode < 500 ? 'invalid_request_error' : 'server_error';
  return answer(statusCode, { error: { message, type, param, code } });
}

function answer(statusCode: number, body: object): BalancerAnswer {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  return { statusCode, headers, body: JSON.stringify(body), isBase64Encoded: false };
}
