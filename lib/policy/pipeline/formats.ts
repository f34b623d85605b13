const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDate(year: number, month: number, day: number): boolean {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month >= 1 && month <= 12 && day >= 1 && day <= (month === 2 && leap ? 29 : DAYS[month - 1]!);
}

function date(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text) ?? [];
  return year !== undefined && isDate(Number(year), Number(month), Number(day));
}

/** RFC 3339, as `Date` can read it: no leap second, an offset or Z. */
function dateTime(text: string): boolean {
  const [, day, hour, minute, second, offset] =
    /^(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/.exec(text) ?? [];
  if (day === undefined || offset === undefined || !date(day)) return false;
  const inDay = Number(hour) <= 23 && Number(minute) <= 59 && Number(second) <= 59;
  return inDay && (offset === 'Z' || (Number(offset.slice(1, 3)) <= 23 && Number(offset.slice(4)) <= 59));
}

/**
 * Milliseconds since 1970 of a `date-time`; undefined for anything else. `Date.parse` by itself reads a time without an offset
 * in the zone of the machine, and a number as a year.
 */
export function timeOf(value: unknown): number | undefined {
  return typeof value === 'string' && dateTime(value) ? Date.parse(value) : undefined;
}

function uri(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$/.test(text) && URL.canParse(text);
}

/** The formats that a contract may name. Each takes time in proportion to the length of the text. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date,
  'date-time': dateTime,
  email: (text) =>
    text.length <= 254 && /^[^\s@<>"(),:;[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text),
  uri,
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
};
