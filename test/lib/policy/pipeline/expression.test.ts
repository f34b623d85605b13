import { describe, expect, it } from '@jest/globals';
import { parseExpression } from '../../../../lib/policy/pipeline/expression';
import { checkExpression } from '../../../../lib/policy/pipeline/expression-check';
import { evaluate } from '../../../../lib/policy/pipeline/expression-value';
import type { JsonSchema } from '../../../../lib/policy/pipeline/json-schema';

const RECORD = {
  price: 2.5,
  quantity: 4,
  total: 10,
  currency: 'EUR',
  note: null,
  tags: ['a', 'b'],
  address: { city: 'Zürich' },
  open: true,
};

const SCHEMA: JsonSchema = {
  type: 'object',
  properties: {
    price: { type: 'number' },
    quantity: { type: 'integer' },
    total: { type: 'number' },
    currency: { enum: ['EUR', 'CHF'] },
    note: { type: ['string', 'null'] },
    tags: { type: 'array' },
    address: { type: 'object', properties: { city: { type: 'string' } }, additionalProperties: false },
    open: { type: 'boolean' },
  },
};

describe('an expression rule', () => {
  it.each([
    ['total == price * quantity', true],
    ['total - price * quantity != 0', false],
    ['1 + 2 * 3 == 7 && (1 + 2) * 3 == 9', true],
    ['-price < 0', true],
    ['!(open && quantity > 5)', true],
    ['currency in ["EUR", "USD"]', true],
    ["'city' in address", true],
    ['note == null || note.startsWith("x")', true],
    ['note.startsWith("x") || note == null', true],
    ['has(address.city) && !has(address.street)', true],
    ['address.city.size() == 6', true],
    ['size(tags) == 2', true],
    ['size("😀") == 1', true],
    ['"b" in tags ? quantity >= 4 : false', true],
    ['currency + "!" == "EUR!"', true],
    ['address.city.endsWith("rich") && address.city.contains("ü")', true],
    ['quantity % 3 == 1', true],
    ['"a\\n\\u0041" == "a\\nA"', true],
    ['tags == ["a", "b"]', true],
    ['missing == 1 && false', false],
  ])('%s', (source, value) => {
    expect(evaluate(parseExpression(source), RECORD)).toBe(value);
  });

  it.each([
    ['missing > 1', 'has no field missing'],
    ['price / 0 > 1', 'divides by zero'],
    ['note > 1', '">" needs numbers, got null'],
    ['constructor == 1', 'has no field constructor'],
    ['price && true', '"&&" needs true or false, got number'],
    [`size(long${' + long'.repeat(200)}) > 1`, '"+" makes a text of more than 67108864 characters'],
  ])('has no value: %s', (source, message) => {
    const record = { ...RECORD, long: 'x'.repeat(1_000_000) };
    expect(() => evaluate(parseExpression(source), record)).toThrow(message);
  });

  it.each([
    ['price >', 'column 8: expected a value or a field, got the end'],
    ['price > 1 1', 'column 11: expected an operator, got 1'],
    ['price # 1', 'column 6: cannot read "# 1"'],
    ['eval("x")', 'column 1: has no function eval; write has or size'],
    ['currency.matches("a+")', 'column 10: has no function matches; write one of startsWith, endsWith, contains, size'],
    ['has(1)', 'column 1: has takes a field'],
    ['size(price, 1)', 'column 1: size takes 1 value, got 2'],
    [`${'('.repeat(60)}1${')'.repeat(60)}`, 'nests deeper than 50'],
    [`${'!'.repeat(60)}open`, 'nests deeper than 50'],
    ['a'.repeat(2001), 'is longer than 2000 characters'],
  ])('cannot be read: %s', (source, message) => {
    expect(() => parseExpression(source)).toThrow(message);
  });

  it.each([
    ['total', 'must be true or false, is number'],
    [
      'prize > 1',
      'column 1: prize is no field that the output describes (price, quantity, total, currency, note, tags, address, open)',
    ],
    ['address.street == "x"', 'column 1: address.street is no field that the output describes (city)'],
    ['currency > 1', 'column 10: > cannot compare or join string with number'],
    ['price == "1"', 'column 7: == cannot compare or join number with string'],
    ['!price', 'column 1: ! needs boolean, got number'],
    ['price.startsWith("1")', 'column 7: startsWith needs string, got number'],
    ['1 in price', 'column 3: in needs array, got number'],
    ['open * 2 > 1', 'column 6: * needs number, got boolean'],
  ])('is refused at synth: %s', (source, message) => {
    expect(() => checkExpression(parseExpression(source), SCHEMA)).toThrow(message);
  });

  it('passes the check at synth where it can have a value', () => {
    for (const source of [
      'total == price * quantity',
      'note == null || size(note) > 1',
      'has(note) ? open : !open',
      'currency + "x" == "EURx"',
    ]) {
      expect(() => checkExpression(parseExpression(source), SCHEMA)).not.toThrow();
    }
  });
});
