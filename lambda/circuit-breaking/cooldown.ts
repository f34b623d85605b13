/** Headers of an answer, as Node holds them. */
type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** The dates of RFC 9110 that are sent today; both end in the one zone that HTTP knows. */
const HTTP_DATE = /^(Mon|Tues?|Wed(nes)?|Thu(rs)?|Fri|Sat(ur)?|Sun)(day)?, .* GMT$/;

/**
 * How long a backend that answered 429 wants to be left alone, in milliseconds: `retry-after-ms`, or `retry-after` in
 * seconds or as a date, measured by the backend's own clock where its answer tells that. Undefined where it does not say,
 * or says what is over by now.
 *
 * @param now milliseconds since 1970
 * @param mostMs the most that is believed
 */
export function cooldownMs(headers: Headers, now: number, mostMs: number): number | undefined {
  const asked = numberIn(headers['retry-after-ms']) ?? waitOf(headers['retry-after'], headers.date, now);
  const bounded = Math.min(Math.ceil(asked ?? 0), mostMs);
  return bounded > 0 ? bounded : undefined;
}

function waitOf(retryAfter: Headers[string], date: Headers[string], now: number): number | undefined {
  const seconds = numberIn(retryAfter);
  if (seconds !== undefined) return seconds * 1000;
  const until = timeOf(retryAfter);
  return until === undefined ? undefined : until - (timeOf(date) ?? now);
}

function numberIn(value: Headers[string]): number | undefined {
  return typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

function timeOf(value: Headers[string]): number | undefined {
  if (typeof value !== 'string' || !HTTP_DATE.test(value)) return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
}
