import type { ResolvedBackend } from '../../lib/policy/defaults';
import type { CallSignal } from '../gateway/backend-port';
import { HangUp } from '../gateway/hang-up';
import type { Attempt } from './route';

/** Calls back after so many milliseconds, unless the function that it returns is called before. */
export type Timer = (ms: number, callback: () => void) => () => void;

/** What a race needs from outside. */
export interface RacePorts<Answer, Refusal> {
  readonly attempt: (backend: ResolvedBackend, signal: CallSignal) => Promise<Attempt<Answer, Refusal>>;
  /** Says whom to ask beside the first, and pays for it; undefined where nobody may be asked. */
  readonly second: () => ResolvedBackend | undefined;
  readonly timer: Timer;
  /** Aborted when the client is gone, which ends both calls. */
  readonly hungUp: CallSignal;
}

/** What came of one call, and of another beside it. */
export interface Race<Answer, Refusal> {
  readonly backend: ResolvedBackend;
  readonly result: Attempt<Answer, Refusal>;
  /** The other call, where two were made; without a result where it was given up. */
  readonly other?: { readonly backend: ResolvedBackend; readonly result?: Attempt<Answer, Refusal> };
}

/**
 * Calls a backend, and a second one beside it where the first has brought nothing within `delayMs`. The first answer
 * wins and the other call is given up; where one fails, the other goes on. The second finds fault with the request only
 * where the first fails: it may know less than the backend of choice.
 */
export async function race<Answer, Refusal>(
  first: ResolvedBackend,
  delayMs: number,
  ports: RacePorts<Answer, Refusal>,
): Promise<Race<Answer, Refusal>> {
  const one = begin(first, ports);
  const isLate = await outlasts(one.result, delayMs, ports.timer);
  const backend = isLate && !ports.hungUp.aborted ? ports.second() : undefined;
  if (!backend) return { backend: first, result: await one.result };

  const two = begin(backend, ports);
  try {
    const early = await Promise.race([ended(one), ended(two)]);
    const other = early.call === one ? two : one;
    const goesOn = hasFailed(early.result) || (early.result.kind === 'refused' && early.call === two);
    if (!goesOn) {
      other.giveUp();
      return { ...seen(early), other: { backend: other.backend } };
    }
    const late = await ended(other);
    const refusalStands = early.result.kind === 'refused' && hasFailed(late.result);
    return refusalStands ? { ...seen(early), other: seen(late) } : { ...seen(late), other: seen(early) };
  } catch (error) {
    one.giveUp();
    two.giveUp();
    throw error;
  }
}

/** Whether another backend may still answer. */
function hasFailed({ kind }: Attempt<unknown, unknown>): boolean {
  return kind === 'failed' || kind === 'unsuited';
}

/** A call under way. */
interface Call<Answer, Refusal> {
  readonly backend: ResolvedBackend;
  readonly result: Promise<Attempt<Answer, Refusal>>;
  readonly giveUp: () => void;
}

interface EndedCall<Answer, Refusal> {
  readonly call: Call<Answer, Refusal>;
  readonly result: Attempt<Answer, Refusal>;
}

/** Sends a call that ends when it is given up, or when the client is gone: as long as its answer is read, too. */
function begin<Answer, Refusal>(
  backend: ResolvedBackend,
  { attempt, hungUp }: RacePorts<Answer, Refusal>,
): Call<Answer, Refusal> {
  const signal = new HangUp();
  const giveUp = () => {
    signal.abort();
  };
  if (hungUp.aborted) giveUp();
  else hungUp.addEventListener('abort', giveUp);
  return { backend, result: attempt(backend, signal), giveUp };
}

async function ended<Answer, Refusal>(call: Call<Answer, Refusal>): Promise<EndedCall<Answer, Refusal>> {
  return { call, result: await call.result };
}

function seen<Answer, Refusal>({ call, result }: EndedCall<Answer, Refusal>) {
  return { backend: call.backend, result };
}

/** Whether so many milliseconds pass before the result is here. */
function outlasts(result: Promise<unknown>, ms: number, timer: Timer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = timer(ms, () => {
      resolve(true);
    });
    result.then(
      () => {
        cancel();
        resolve(false);
      },
      (error: Error) => {
        cancel();
        reject(error);
      },
    );
  });
}
