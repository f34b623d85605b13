import { describe, expect, it } from '@jest/globals';
import { cooldownMs } from '../../../lambda/circuit-breaking/cooldown';

const NOW = Date.parse('2026-11-23T12:00:00Z');
const cooldown = (headers: Record<string, string>) => cooldownMs(headers, NOW, 60_000);

describe('the cool-down that a backend asks for', () => {
  it.each([
    ['seconds', { 'retry-after': '7' }, 7000],
    ['parts of seconds, rounded up to a millisecond', { 'retry-after': '0.0501' }, 51],
    ['milliseconds, which are the more exact', { 'retry-after-ms': '250', 'retry-after': '1' }, 250],
    ['a date', { 'retry-after': 'Mon, 23 Nov 2026 12:00:09 GMT' }, 9000],
    ['a date of the old form', { 'retry-after': 'Monday, 23-Nov-26 12:00:09 GMT' }, 9000],
    [
      'a date by the backend’s own clock',
      { 'retry-after': 'Mon, 23 Nov 2026 13:00:09 GMT', date: 'Mon, 23 Nov 2026 13:00:05 GMT' },
      4000,
    ],
    ['at most what the policy believes', { 'retry-after': '86400' }, 60_000],
  ])('is read from %s', (_, headers, expected) => {
    expect(cooldown(headers)).toBe(expected);
  });

  it.each([
    ['there is no header', {}],
    ['the header is no time', { 'retry-after': 'soon' }],
    ['a number has something behind it', { 'retry-after': '5 bananas' }],
    ['the date is none', { 'retry-after': 'Mon, 99 Nov 2026 99:99:99 GMT' }],
    ['the number is negative', { 'retry-after': '-5' }],
    ['the wait is nothing', { 'retry-after': '0' }],
    ['the date has passed', { 'retry-after': 'Mon, 23 Nov 2026 11:59:00 GMT' }],
  ])('is none where %s', (_, headers) => {
    expect(cooldown(headers)).toBeUndefined();
  });

  it('is none where the policy believes none', () => {
    expect(cooldownMs({ 'retry-after': '7' }, NOW, 0)).toBeUndefined();
  });
});
