/** The code of a call that got no answer: no connection, or none in time. */
export const NO_ANSWER = 'NoAnswer';

/** Refusals for too many calls, or two at one time: nothing was done, and a little later the same call may be taken. */
const THROTTLED: ReadonlySet<string> = new Set([
  'BandwidthLimitExceeded',
  'ConditionalRequestConflict',
  'LimitExceededException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'RequestThrottledException',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'ThrottledException',
  'TooManyRequestsException',
  'TransactionInProgressException',
]);

/** Node's words for a connection that never stood: what was to be sent was not. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** A call to AWS that was refused or not answered. */
export class AwsError extends Error {
  public override readonly name = 'AwsError';
  /** Whether a try before this one may have been carried out, so that this one may have met its traces. */
  public followsUncertain = false;

  /**
   * @param code the service's own, such as `ResourceNotFoundException` or `NoSuchKey`; `NoAnswer` without an answer
   * @param status of HTTP; 0 without an answer
   * @param detail the whole refusal, where it is JSON
   */
  public constructor(
    message: string,
    public readonly code: string,
    public readonly status: number,
    public readonly detail?: unknown,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Whether the service certainly did nothing and may take the same call a little later. */
  public get wasTurnedAway(): boolean {
    if (this.code === NO_ANSWER) return NEVER_SENT.has(causeOf(this.cause));
    return this.status === 429 || THROTTLED.has(this.code);
  }

  /** Whether nobody knows if the service did what it was asked. */
  public get isUncertain(): boolean {
    if (this.wasTurnedAway) return false;
    return this.code === NO_ANSWER || this.status >= 500 || this.code === 'RequestTimeout';
  }
}

/** Reads a refusal, in the words of whichever protocol the service speaks. */
export function refusal(operation: string, status: number, text: string): AwsError {
  const json = jsonOf(text);
  const code = (json ? typeOf(json) : elementOf(text, 'Code')) ?? `Status${status}`;
  const words = json ? (json.message ?? json.Message) : elementOf(text, 'Message');
  const said = typeof words === 'string' && words !== '' ? words : text.slice(0, 500);
  return new AwsError(`${operation} was answered ${status} ${code}: ${said}`, code, status, json);
}

/** What is thrown where no answer came. */
export function unanswered(operation: string, cause: unknown): AwsError {
  return new AwsError(`${operation} was not answered: ${causeWords(cause)}`, NO_ANSWER, 0, undefined, { cause });
}

/** The text of the first XML element of a name. */
export function elementOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity: keyof typeof ENTITIES) => ENTITIES[entity]);
}

const ENTITIES = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' } as const;

function jsonOf(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** `com.amazonaws.sqs#QueueDoesNotExist` and `QueueDoesNotExist:http://…` are both QueueDoesNotExist. */
function typeOf({ __type: type, code }: Readonly<Record<string, unknown>>): string | undefined {
  const whole = type ?? code;
  return typeof whole === 'string' ? whole.split('#').at(-1)?.split(':')[0] : undefined;
}

/** `fetch` says "fetch failed" and hides why one floor below. */
function causeWords(error: unknown): string {
  const { message, cause } = error as { readonly message?: string; readonly cause?: { readonly message?: string } };
  const words = message ?? String(error);
  return cause === undefined ? words : `${words}: ${[cause.message, causeOf(error)].find(Boolean) ?? 'no reason'}`;
}

function causeOf(error: unknown): string {
  const { cause } = (error ?? {}) as { readonly cause?: { readonly code?: unknown; readonly errors?: unknown[] } };
  // A host with two addresses fails with an error of errors.
  const code = cause?.code ?? (cause?.errors?.[0] as { readonly code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : '';
}
