import type { Queue } from '../../lambda/aws/queue';
import { isMeant, type Letter, type LetterFilter, letterOf, redriven } from './letter';

/** For how long a dead letter that was looked at is nobody else's. One that is left is given back at the end. */
const LOOK_SECONDS = 300;

/** So often nothing more must come, each time after a wait, before the queue counts as read. */
const EMPTY_ROUNDS = 2;
const WAIT_SECONDS = 1;

/** What a redrive needs from outside. */
export interface RedrivePorts {
  readonly deadLetters: Pick<Queue, 'receive' | 'remove' | 'changeVisibility'>;
  readonly work: Pick<Queue, 'send'>;
  /** Why a worker would drop an item, such as that its batch was cancelled; undefined where it would work on it. */
  readonly dropped: (letter: Letter) => Promise<string | undefined>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly progress: (seen: number) => void;
}

/** A dead letter, and what became of it. */
export interface SeenLetter extends Letter {
  /** `left`: it is not meant; `dropped`: no worker would work on it; `chosen`: it was, or with a dry run would be, sent. */
  readonly fate: 'left' | 'dropped' | 'chosen';
  /** Why it would be dropped. */
  readonly why?: string;
}

/**
 * Goes through all dead letters and sends those that are meant back to the workers. Each is sent before it is removed: cut
 * off in between, it is in both places, and the second time a worker finds it done.
 */
export async function redrive(
  filter: LetterFilter,
  { dryRun }: { readonly dryRun: boolean },
  ports: RedrivePorts,
): Promise<readonly SeenLetter[]> {
  const { deadLetters, work, now } = ports;
  const seen = new Map<string, SeenLetter>();
  const kept = new Map<string, string>();
  try {
    for (let empty = 0; empty < EMPTY_ROUNDS;) {
      const received = await deadLetters.receive({ waitSeconds: WAIT_SECONDS, visibilitySeconds: LOOK_SECONDS });
      const fresh = received.filter(({ id }) => !seen.has(id));
      empty = fresh.length === 0 ? empty + 1 : 0;
      const letters = await Promise.all(
        fresh.map(async (message) => ({ id: message.id, ...(await judged(letterOf(message), filter, ports, now())) })),
      );
      for (const { id, ...letter } of letters) seen.set(id, letter);
      for (const { id, receipt } of received) kept.set(id, receipt);
      const chosen = dryRun ? [] : letters.filter(({ fate }) => fate === 'chosen');
      if (chosen.length > 0) {
        await work.send(chosen.map(redriven));
        await deadLetters.remove(chosen.map(({ receipt }) => receipt));
        for (const { id } of chosen) kept.delete(id);
      }
      ports.progress(seen.size);
    }
  } finally {
    const changes = [...kept.values()].map((receipt) => ({ receipt, seconds: 0 }));
    // By now some may be visible by themselves, and their receipts no longer good.
    await deadLetters.changeVisibility(changes).catch(() => undefined);
  }
  return [...seen.values()];
}

async function judged(
  letter: Letter,
  filter: LetterFilter,
  { dropped }: RedrivePorts,
  now: number,
): Promise<SeenLetter> {
  if (!isMeant(letter, filter, now)) return { ...letter, fate: 'left' };
  const why = await dropped(letter);
  return why === undefined ? { ...letter, fate: 'chosen' } : { ...letter, fate: 'dropped', why };
}
