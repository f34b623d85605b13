/**
 * Numbers as C's `printf` writes them, which is how Lua and Redis write theirs. JavaScript differs in the layout of
 * exponents and in ties: C rounds an exact half to the even digit, JavaScript up.
 */

/** JavaScript's `toFixed` and `toExponential` go no further. */
const MOST_DIGITS = 100;

/** `%.<digits>f` */
export function formatFixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  const magnitude = Math.abs(value);
  const kept = Math.min(digits, MOST_DIGITS);
  const text = fixedDigits(magnitude, kept) + '0'.repeat(digits - kept);
  return isNegative(value) ? `-${text}` : text;
}

/** `%.<digits>e` */
export function formatExponential(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  const [mantissa, exponent] = exponentialDigits(Math.abs(value), Math.min(digits, MOST_DIGITS));
  const text = `${mantissa}e${exponentText(exponent)}`;
  return isNegative(value) ? `-${text}` : text;
}

/** `%.<digits>g` */
export function formatGeneral(value: number, digits: number): string {
  if (!Number.isFinite(value)) return notFinite(value);
  // The usual case: a whole number of few digits.
  if (Math.abs(value) < 1e6 && digits > 6 && Number.isInteger(value))
    return isNegative(value) ? `-${-value}` : `${value}`;
  const precision = Math.min(Math.max(digits, 1), MOST_DIGITS);
  const [mantissa, exponent] = exponentialDigits(Math.abs(value), precision - 1);
  const text =
    exponent < -4 || exponent >= precision
      ? `${withoutTrailingZeros(mantissa)}e${exponentText(exponent)}`
      : withoutTrailingZeros(fixedDigits(Math.abs(value), Math.min(precision - 1 - exponent, MOST_DIGITS)));
  return isNegative(value) ? `-${text}` : text;
}

/** What x86 makes of 0/0 is a negative NaN. */
function notFinite(value: number): string {
  return Number.isNaN(value) ? '-nan' : value < 0 ? '-inf' : 'inf';
}

function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}

function fixedDigits(magnitude: number, digits: number): string {
  // Beyond this, toFixed turns to exponents; all such numbers are whole.
  if (magnitude >= 1e21) return BigInt(magnitude).toString() + (digits > 0 ? `.${'0'.repeat(digits)}` : '');
  const text = magnitude.toFixed(digits);
  // An exact half ends in binary one digit later at most.
  if (digits === MOST_DIGITS || !Number.isInteger(magnitude * 2 ** (digits + 1))) return text;
  const longer = magnitude.toFixed(digits + 1);
  return longer.endsWith('5') ? roundedToEven(longer, text) : text;
}

function exponentialDigits(magnitude: number, digits: number): [mantissa: string, exponent: number] {
  let text = magnitude.toExponential(digits);
  if (digits < MOST_DIGITS) {
    const [longer] = magnitude.toExponential(digits + 1).split('e') as [string];
    const isHalf = longer.endsWith('5') && /^0*e/.test(magnitude.toExponential(MOST_DIGITS).slice(longer.length));
    if (isHalf) text = text.replace(/^[^e]*/, (up) => roundedToEven(longer, up));
  }
  const [mantissa, exponent] = text.split('e');
  return [mantissa!, Number(exponent)];
}

/** Of a number that ends in an exact half one digit later: what is left without it where that is even, else `up`. */
function roundedToEven(longer: string, up: string): string {
  const down = longer.slice(0, -1).replace(/\.$/, '');
  return /[02468]$/.test(down) ? down : up;
}

function withoutTrailingZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function exponentText(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}
