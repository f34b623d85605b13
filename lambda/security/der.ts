/**
 * Enough of DER, the binary form of ASN.1 (ITU-T X.690), to write a certificate. A library that reads and writes all of
 * X.509 alone is two thirds of what a handler may weigh.
 */

/** A value with its tag and length. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content), content]);
}

/** Values in order. */
export function sequence(...values: readonly Uint8Array[]): Buffer {
  return der(0x30, ...values);
}

/** An unordered collection. */
export function set(...values: readonly Uint8Array[]): Buffer {
  return der(0x31, ...values);
}

/** A whole number of at least 0, from its bytes, highest first. */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Buffer.from([0]) : Buffer.from(bytes.subarray(first));
  // The highest bit is the sign.
  return digits[0]! >= 0x80 ? der(0x02, Buffer.from([0]), digits) : der(0x02, digits);
}

/** Text. */
export function utf8(text: string): Buffer {
  return der(0x0c, Buffer.from(text, 'utf8'));
}

/** Yes; a no is left out where it is the preset. */
export function yes(): Buffer {
  return der(0x01, Buffer.from([0xff]));
}

/** Bits; `unused` of them at the end do not count. */
export function bits(bytes: Uint8Array, unused = 0): Buffer {
  return der(0x03, Buffer.from([unused]), bytes);
}

/** Bytes. */
export function octets(bytes: Uint8Array): Buffer {
  return der(0x04, bytes);
}

/** A name of a thing that someone has registered, such as `2.5.29.17`. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** A time to the second: two-digit years until 2049, as RFC 5280 asks. */
export function time(moment: Date): Buffer {
  const digits = moment.toISOString().replace(/\.\d+/, '').replace(/[-:T]/g, '');
  return moment.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

function lengthOf({ length }: Buffer): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([0x80 | digits.length]), digits]);
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
