import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  allOf,
  anyOf,
  beginsWith,
  type Condition,
  differs,
  equals,
  exists,
  isAbove,
  isAbsent,
  isAtLeast,
  isAtMost,
  isBelow,
  isOneOf,
  not,
} from '../../../lambda/aws/condition';
import { awsService } from '../../../lambda/aws/service';
import { ConditionFailed, Table } from '../../../lambda/aws/table';
import { hasMoto, type MotoServer, startMoto } from '../moto-server';
import { type ScriptedService, scriptedService } from './fixture';

(hasMoto ? describe : describe.skip)('a table', () => {
  let moto: MotoServer;
  let table: Table;

  beforeAll(async () => {
    moto = await startMoto();
    moto.python(
      "aws('dynamodb').create_table(TableName='books', BillingMode='PAY_PER_REQUEST'," +
        " KeySchema=[{'AttributeName': 'pk', 'KeyType': 'HASH'}, {'AttributeName': 'sk', 'KeyType': 'RANGE'}]," +
        " AttributeDefinitions=[{'AttributeName': n, 'AttributeType': 'S'} for n in ('pk', 'sk')])",
    );
    table = new Table(awsService(moto.environment, 'dynamodb', 20_000), 'books');
  }, 90_000);
  afterAll(() => moto.close());

  it('gives back rows of plain values', async () => {
    const key = { pk: 'plain', sk: '-' };
    const row = {
      ...key,
      text: 'ü',
      empty: '',
      number: -1.5,
      large: Number.MAX_SAFE_INTEGER,
      yes: true,
      nothing: null,
      bytes: Buffer.from([0, 255]),
      list: ['a', 1, [], {}],
      map: { name: { inner: [false] } },
    };
    await table.put({ ...row, left: undefined });
    expect(await table.get(key, { consistent: true })).toEqual(row);
    expect(await table.get(key, { attributes: ['number', 'list'] })).toEqual({ number: -1.5, list: row.list });
    expect(await table.get({ pk: 'none', sk: '-' })).toBeUndefined();
    await table.remove(key);
    await table.remove(key);
    expect(await table.get(key)).toBeUndefined();
    await expect(table.put({ ...key, number: NaN })).rejects.toThrow('a row cannot hold NaN');
  });

  it('changes rows: sets, sets once, adds and removes, with names that are reserved words', async () => {
    const key = { pk: 'changing', sk: '-' };
    expect(
      await table.update({ key, set: { state: 'running', owner: 'a' }, setOnce: { size: 1 }, add: { count: 2 } }),
    ).toEqual({
      ...key,
      state: 'running',
      owner: 'a',
      size: 1,
      count: 2,
    });
    const after = { ...key, state: 'done', size: 1, count: 1.5 };
    const update = {
      key,
      set: { state: 'done', gone: undefined },
      setOnce: { size: 9 },
      add: { count: -0.5 },
      remove: ['owner'],
    };
    expect(await table.update(update)).toEqual(after);
    expect(await table.get(key)).toEqual(after);
    await expect(table.update({ key })).rejects.toThrow('an update must set, add or remove something');
  });

  it.each<[string, Condition, boolean]>([
    ['equals', equals('state', 'running'), true],
    ['equals what is missing', equals('missing', 'x'), false],
    ['differs', differs('state', 'running'), false],
    ['differs from what is missing', differs('missing', 'x'), true],
    ['is below', isBelow('number', 6), true],
    ['is below itself', isBelow('number', 5), false],
    ['is at most', isAtMost('number', 5), true],
    ['is above', isAbove('number', 5), false],
    ['is at least', isAtLeast('number', 5), true],
    ['exists', exists('state'), true],
    ['is absent', isAbsent('state'), false],
    ['begins with', beginsWith('state', 'run'), true],
    ['is one of', isOneOf('state', ['done', 'running']), true],
    ['all of', allOf(exists('state'), equals('number', 6)), false],
    ['any of', anyOf(isAbsent('state'), equals('number', 5)), true],
    ['not', not(anyOf(isAbsent('state'), equals('number', 5))), false],
  ])('writes on a condition: %s', async (_, condition, holds) => {
    const row = { pk: 'conditional', sk: '-', state: 'running', number: 5 };
    await table.put(row);
    const write = table.put({ ...row, written: true }, condition);
    await (holds
      ? write
      : expect(write).rejects.toMatchObject({ name: 'ConditionFailed', row, followsUncertain: false }));
    expect(await table.get({ pk: 'conditional', sk: '-' })).toEqual(holds ? { ...row, written: true } : row);
  });

  it('lets one of many make a row, change it or remove it', async () => {
    const key = { pk: 'race', sk: '-' };
    const winners = async (attempts: Promise<unknown>[]) =>
      (await Promise.allSettled(attempts)).filter(({ status }) => status === 'fulfilled').length;
    const five = [1, 2, 3, 4, 5];
    expect(await winners(five.map((n) => table.put({ ...key, n }, isAbsent('pk'))))).toBe(1);
    const claim = { key, set: { owner: 'me' }, condition: isAbsent('owner') };
    expect(await winners(five.map(() => table.update(claim)))).toBe(1);
    expect(await winners(five.map(() => table.remove(key, equals('owner', 'me'))))).toBe(1);
    await expect(table.remove(key, exists('pk'))).rejects.toMatchObject({ name: 'ConditionFailed', row: undefined });
  });

  it('reads partitions page by page, by ranges of their sort keys, both ways', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `BATCH#${String(i).padStart(2, '0')}`);
    await Promise.all([...names, 'FILE#1'].map((sk, n) => table.put({ pk: 'tenant', sk, n })));
    const partition = { pk: 'tenant' };
    const all = async (query: Omit<Parameters<Table['query']>[0], 'partition'>) => {
      const found: unknown[] = [];
      for await (const { sk } of table.query({ partition, ...query })) found.push(sk);
      return found;
    };
    expect(await all({ limit: 7 })).toEqual([...names, 'FILE#1']);
    expect(await all({ sort: { name: 'sk', beginsWith: 'BATCH#' }, limit: 10, descending: true })).toEqual(
      names.toReversed(),
    );
    expect(await all({ sort: { name: 'sk', from: 'BATCH#03', to: 'BATCH#05' } })).toEqual(names.slice(3, 6));
    expect(await all({ sort: { name: 'sk', from: 'BATCH#23' }, consistent: true })).toEqual([
      ...names.slice(23),
      'FILE#1',
    ]);
    expect(await all({ sort: { name: 'sk', to: 'BATCH#01' } })).toEqual(names.slice(0, 2));
    expect(await all({ filter: isAtLeast('n', 24), limit: 5 })).toEqual(['BATCH#24', 'FILE#1']);
    const { rows, next } = await table.page({ partition, limit: 2, attributes: ['n'] });
    expect({ rows, next }).toEqual({ rows: [{ n: 0 }, { n: 1 }], next: { pk: 'tenant', sk: 'BATCH#01' } });
    expect(await table.page({ partition, startAfter: { pk: 'tenant', sk: 'BATCH#24' } })).toEqual({
      rows: [{ pk: 'tenant', sk: 'FILE#1', n: 25 }],
    });
  });

  it('makes all writes of a transaction or none, and says whose condition failed', async () => {
    const key = (pk: string) => ({ pk, sk: 'tx' });
    await table.transact([
      { put: { ...key('a'), n: 1 }, condition: isAbsent('pk') },
      { update: { key: key('b'), add: { n: 5 } } },
      { put: { ...key('c') } },
    ]);
    const refused = table.transact([
      { update: { key: key('a'), set: { n: 2 } } },
      { check: key('b'), condition: isAbove('n', 5) },
      { remove: key('c'), condition: exists('pk') },
      { put: key('b2'), condition: exists('pk') },
    ]);
    await expect(refused).rejects.toMatchObject({ name: 'ConditionFailed', indexes: [1, 3] });
    expect(await table.get(key('a'))).toMatchObject({ n: 1 });
    await table.transact([
      { check: key('b'), condition: equals('n', 5) },
      { remove: key('c') },
      { update: { key: key('a'), set: { n: 2 }, condition: equals('n', 1) } },
    ]);
    expect(await table.get(key('c'))).toBeUndefined();
    expect(await table.get(key('a'))).toMatchObject({ n: 2 });
  });
});

describe('a table whose service falters', () => {
  let scripted: ScriptedService;
  let table: Table;
  const refused = (type: string, more: object = {}) =>
    JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, ...more });

  beforeEach(async () => {
    scripted = await scriptedService('dynamodb');
    table = new Table(scripted.service, 'books');
  });
  afterEach(() => scripted.close());

  it('is asked again, a little later each time, where it turned a call away, even one that adds', async () => {
    scripted.answer = (response, _, number) =>
      number < 3
        ? response.writeHead(400).end(refused('ThrottlingException'))
        : response.end('{"Attributes":{"n":{"N":"1"}}}');
    expect(await table.update({ key: { pk: 'a' }, add: { n: 1 } })).toEqual({ n: 1 });
    expect(scripted.pauses).toEqual([50, 100]);
    expect(new Set(scripted.seen.map(({ body }) => body)).size).toBe(1);
  });

  it('is not asked to add twice where nobody knows what became of the first', async () => {
    scripted.answer = (response) => response.destroy();
    await expect(table.update({ key: { pk: 'a' }, add: { n: 1 } })).rejects.toMatchObject({
      code: 'NoAnswer',
      status: 0,
    });
    expect(scripted.seen).toHaveLength(1);
    await expect(table.update({ key: { pk: 'a' }, set: { n: 1 } })).rejects.toMatchObject({ code: 'NoAnswer' });
    expect(scripted.seen).toHaveLength(4);
  });

  it('is given up after three tries, with its own last words', async () => {
    scripted.answer = (response) => response.writeHead(500).end(refused('InternalServerError', { message: 'no luck' }));
    await expect(table.get({ pk: 'a' })).rejects.toMatchObject({
      name: 'AwsError',
      message: 'DynamoDB_20120810.GetItem was answered 500 InternalServerError: no luck',
      code: 'InternalServerError',
      status: 500,
    });
    expect(scripted.seen).toHaveLength(3);
  });

  it('knows a row that it wrote itself when the answer was lost, and no other', async () => {
    let item: object = { pk: { S: 'a' }, n: { N: '1' } };
    scripted.answer = (response, _, number) =>
      number % 2 === 1
        ? response.destroy()
        : response.writeHead(400).end(refused('ConditionalCheckFailedException', { Item: item }));
    await table.put({ pk: 'a', n: 1, gone: undefined }, isAbsent('pk'));
    item = { pk: { S: 'a' }, n: { N: '2' } };
    await expect(table.put({ pk: 'a', n: 1 }, isAbsent('pk'))).rejects.toEqual(
      expect.objectContaining({ name: 'ConditionFailed', row: { pk: 'a', n: 2 }, followsUncertain: true }),
    );
  });

  it('is sent a transaction again under the same token where another was in its way', async () => {
    const canceled = (...codes: string[]) =>
      refused('TransactionCanceledException', { CancellationReasons: codes.map((Code) => ({ Code })) });
    scripted.answer = (response, _, number) =>
      number === 1 ? response.writeHead(400).end(canceled('None', 'TransactionConflict')) : response.end('{}');
    await table.transact([{ remove: { pk: 'a' } }, { remove: { pk: 'b' } }]);
    const tokens = scripted.seen.map(
      ({ body }) => (JSON.parse(body) as { ClientRequestToken: string }).ClientRequestToken,
    );
    expect(tokens).toEqual([tokens[0], tokens[0]]);
    scripted.answer = (response) =>
      response.writeHead(400).end(canceled('ConditionalCheckFailed', 'TransactionConflict'));
    await expect(table.transact([{ remove: { pk: 'a' } }])).rejects.toEqual(new ConditionFailed([0], undefined, false));
    scripted.answer = (response) => response.writeHead(400).end(canceled('ValidationError'));
    await expect(table.transact([{ remove: { pk: 'a' } }])).rejects.toMatchObject({
      code: 'TransactionCanceledException',
    });
    expect(scripted.seen).toHaveLength(4);
  });
});
