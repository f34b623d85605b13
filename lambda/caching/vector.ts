/** A text's place in an embedding model's space, of length 1: what the model says of a text is its direction. */
export type Vector = Float32Array;

/** What is shorter has lost its direction to rounding. No model writes such numbers. */
const SHORTEST = 1e-15;

/** A list of numbers as a vector; undefined for what has no direction or is no list of numbers. */
export function vectorOf(numbers: unknown): Vector | undefined {
  if (!Array.isArray(numbers) || numbers.length === 0) return undefined;
  let squares = 0;
  for (const value of numbers as unknown[]) {
    if (typeof value !== 'number') return undefined;
    squares += value * value;
  }
  const length = Math.sqrt(squares);
  if (!(length > SHORTEST) || !Number.isFinite(length)) return undefined;
  return Float32Array.from(numbers as number[], (value) => value / length);
}

/** Cosine of the angle between two vectors, from -1 to 1; undefined where they are not of one space. */
export function similarityOf(a: Vector, b: Vector): number | undefined {
  if (a.length !== b.length) return undefined;
  let product = 0;
  for (let i = 0; i < a.length; i++) product += a[i]! * b[i]!;
  return product;
}

/** Numbers of 32 bits cannot tell more: two equal texts may come out this far from 1. */
const ROUNDING = 1e-6;

/** Whether a similarity is at least what is asked. */
export function isSimilar(similarity: number, minimum: number): boolean {
  return similarity >= minimum - ROUNDING;
}

/** The vector's numbers of 32 bits, low byte first, as Valkey's search takes them; every machine of Lambda writes them so. */
export function bytesOf(vector: Vector): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** The vector that was written as bytes; undefined for what is none. */
export function vectorFrom(bytes: Buffer): Vector | undefined {
  if (bytes.length === 0 || bytes.length % Float32Array.BYTES_PER_ELEMENT !== 0) return undefined;
  // A copy, since numbers of 32 bits must begin at a multiple of four.
  return new Float32Array(new Uint8Array(bytes).buffer);
}
