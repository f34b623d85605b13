/** What an id names; its prefix. */
export type IdKind = 'file' | 'batch' | 'job';

/** As OpenAI writes them. */
const PREFIX: Readonly<Record<IdKind, string>> = { file: 'file-', batch: 'batch_', job: 'job_' };

/** Crockford's base 32 in the order of its characters' codes, so that ids sort as what they encode. */
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/** 48 bits of milliseconds. */
const TIME_DIGITS = 10;

/** 80 random bits: of a million ids in the same millisecond, none is expected twice. */
const RANDOM_DIGITS = 16;

const SHAPE = new RegExp(`^[${DIGITS}]{${TIME_DIGITS + RANDOM_DIGITS}}$`);

/**
 * A new id. Ids sort by the time that they were made at, so that lists need no index of their own.
 *
 * @param now milliseconds since 1970
 * @param random gives so many random bytes
 */
export function newId(kind: IdKind, now: number, random: (bytes: number) => Uint8Array): string {
  // 256 is a multiple of 32: each digit is as likely as any other.
  const tail = Array.from(random(RANDOM_DIGITS), (byte) => DIGITS[byte % 32]).join('');
  return `${PREFIX[kind]}${timeDigits(now)}${tail}`;
}

/** Whether a text is an id of that kind; what is none names nothing. */
export function isId(kind: IdKind, text: string): boolean {
  return text.startsWith(PREFIX[kind]) && SHAPE.test(text.slice(PREFIX[kind].length));
}

/** What every id of that kind sorts behind that was made at that time or later. */
export function idFloor(kind: IdKind, at: number): string {
  return `${PREFIX[kind]}${timeDigits(at)}`;
}

/** Which kind an id of a batch or of a job names. */
export function workKind(id: string): 'batch' | 'job' {
  return id.startsWith(PREFIX.job) ? 'job' : 'batch';
}

function timeDigits(at: number): string {
  let digits = '';
  for (let rest = Math.floor(at), i = 0; i < TIME_DIGITS; i++, rest = Math.floor(rest / 32)) {
    digits = `${DIGITS[rest % 32]}${digits}`;
  }
  return digits;
}
