import { isUtf8 } from 'node:buffer';
import { isNestedDeeperThan } from '../../gateway/nesting';
import { fieldsOf, inexactNumberIn, nameGivenTwice, namesIn } from './json-text';
import { type DataRecord, MOST_LEVELS, ReadingFault } from './source-record';

/** A name that is longer is told by its length. */
const MOST_NAME = 128;

/** Half of a pair of UTF-16, which no text of Unicode holds alone. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** An escape of JSON that may be one. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** What may be a number that changes as it is read: no other has so many digits, or so large or small an exponent. */
const MAYBE_INEXACT = /\d{16}|[eE][+-]?\d{3}/;

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The text of the bytes, which must be UTF-8. A byte order mark at the start of a file is no part of it. */
export function decode(content: Buffer, isFileStart: boolean): string | ReadingFault {
  const body = isFileStart && content.subarray(0, 3).equals(BYTE_ORDER_MARK) ? content.subarray(3) : content;
  if (!isUtf8(body)) return new ReadingFault('encoding', 'is not UTF-8');
  const text = body.toString('utf8');
  // UTF-16 of plain letters is valid UTF-8 with a zero in every other byte.
  if (text.includes('\0')) return new ReadingFault('encoding', 'holds a zero byte, as UTF-16 and binary files do');
  return text;
}

/** The record that a line of JSON holds. */
export function recordFromJson(text: string): DataRecord | ReadingFault {
  if (text.trim() === '') return new ReadingFault('empty', 'is an empty line');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return new ReadingFault('json', 'is not valid JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new ReadingFault('json', 'is not a JSON object');
  }
  if (isNestedDeeperThan(MOST_LEVELS, value)) {
    return new ReadingFault('depth', `nests deeper than ${MOST_LEVELS} levels`);
  }
  if (namesIn(text) !== fieldsOf(value)) {
    const name = nameGivenTwice(text);
    return new ReadingFault(
      'json',
      `names the field ${name.length > MOST_NAME ? `of ${name.length} characters` : name} twice`,
    );
  }
  const inexact = MAYBE_INEXACT.test(text) ? inexactNumberIn(text) : undefined;
  if (inexact !== undefined) {
    return new ReadingFault('number', `holds ${inexact}, which a 64-bit number does not keep: write it as a text`);
  }
  if (SURROGATE_ESCAPE.test(text) && holdsLoneSurrogate(value)) {
    return new ReadingFault('encoding', 'holds half of a surrogate pair');
  }
  return value as DataRecord;
}

function holdsLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return LONE_SURROGATE.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, inner]) => LONE_SURROGATE.test(name) || holdsLoneSurrogate(inner));
}
