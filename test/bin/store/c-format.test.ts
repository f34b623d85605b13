import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatExponential, formatFixed, formatGeneral } from '../../../bin/start/store/c-format';

describe('numbers as C writes them', () => {
  it.each<[number, number, string]>([
    [0.5, 0, '0'],
    [1.5, 0, '2'],
    [2.5, 0, '2'],
    [0.125, 2, '0.12'],
    [0.375, 2, '0.38'],
    [-2.5, 0, '-2'],
    [-0, 1, '-0.0'],
    [1e21, 2, '1000000000000000000000.00'],
    [1.005, 2, '1.00'],
  ])('%d with %d digits after the point is %s', (value, digits, text) => {
    expect(formatFixed(value, digits)).toBe(text);
  });

  it.each<[number, number, string]>([
    [0.1, 17, '0.10000000000000001'],
    [1e20, 17, '1e+20'],
    [1e15, 14, '1e+15'],
    [123456, 14, '123456'],
    [0.00001, 6, '1e-05'],
    [0.0001, 6, '0.0001'],
    [1234567890123450, 14, '1.2345678901234e+15'],
    [999999.5, 6, '1e+06'],
    [-0, 6, '-0'],
    [Infinity, 6, 'inf'],
    [NaN, 6, '-nan'],
  ])('%d with %d digits in all is %s', (value, digits, text) => {
    expect(formatGeneral(value, digits)).toBe(text);
  });

  it('has at least two digits in an exponent', () => {
    expect(formatExponential(12345, 2)).toBe('1.23e+04');
    expect(formatExponential(1e-100, 0)).toBe('1e-100');
    expect(formatExponential(9.5, 0)).toBe('1e+01');
    expect(formatExponential(8.5, 0)).toBe('8e+00');
  });

  it('loses nothing in 17 digits', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(formatGeneral(value, 17))).toBe(value);
      }),
    );
  });
});
