import type { AttributeValue, Attributes } from '../../../lambda/aws/attribute-value';
import { readCondition } from './condition-expression';
import { ExpressionReader, PlaceHolders } from './expression-reader';
import { invalid } from './expression-tokens';
import { readKeyCondition } from './key-condition';
import { type KeyAttribute, RowTable } from './row-table';
import { ServiceError } from './service-error';
import { readUpdate } from './update-expression';
import { normalised } from './value-order';

/** Fields of calls, as far as they are served; a call with any other is refused. */
interface Input {
  readonly TableName: string;
  readonly Key?: Attributes;
  readonly Item?: Attributes;
  readonly ConditionExpression?: string;
  readonly UpdateExpression?: string;
  readonly ProjectionExpression?: string;
  readonly KeyConditionExpression?: string;
  readonly FilterExpression?: string;
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  readonly ExpressionAttributeValues?: Attributes;
  readonly ReturnValues?: string;
  readonly ReturnValuesOnConditionCheckFailure?: string;
  readonly ConsistentRead?: boolean;
  readonly ScanIndexForward?: boolean;
  readonly Limit?: number;
  readonly ExclusiveStartKey?: Attributes;
}

interface BatchInput {
  readonly RequestItems: Readonly<Record<string, { readonly Keys: readonly Attributes[] }>>;
}

interface TransactionInput {
  readonly TransactItems: readonly Readonly<Record<string, Input>>[];
  readonly ClientRequestToken?: string;
}

interface NewTable {
  readonly TableName: string;
  readonly KeySchema: readonly { readonly AttributeName: string; readonly KeyType: string }[];
  readonly AttributeDefinitions: readonly { readonly AttributeName: string; readonly AttributeType: string }[];
}

/** A write whose condition was found to hold. */
interface PreparedWrite {
  readonly before: Attributes | undefined;
  readonly after: Attributes | undefined;
  apply(): void;
}

const EXPRESSION_FIELDS = ['TableName', 'ExpressionAttributeNames', 'ExpressionAttributeValues'];
const WRITE_FIELDS = [
  ...EXPRESSION_FIELDS,
  'ConditionExpression',
  'ReturnValuesOnConditionCheckFailure',
  'ReturnValues',
];
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  GetItem: [...EXPRESSION_FIELDS, 'Key', 'ConsistentRead', 'ProjectionExpression'],
  PutItem: [...WRITE_FIELDS, 'Item'],
  UpdateItem: [...WRITE_FIELDS, 'Key', 'UpdateExpression'],
  DeleteItem: [...WRITE_FIELDS, 'Key'],
  Query: [
    ...EXPRESSION_FIELDS,
    ...['KeyConditionExpression', 'FilterExpression', 'ProjectionExpression', 'ConsistentRead'],
    ...['ScanIndexForward', 'Limit', 'ExclusiveStartKey'],
  ],
};

/** DynamoDB's limits: of rows in a page, counted in bytes, and of writes in a transaction. */
const MOST_PAGE_BYTES = 1_048_576;
const MOST_WRITES = 100;

/** Keys of one batch. */
const MOST_KEYS = 100;

/** Transactions that were carried out are known by their tokens for this time. */
const TOKEN_MS = 600_000;

/** The part of DynamoDB that the handlers need, over its JSON protocol; anything else is refused. */
export class TableService {
  private readonly tables = new Map<string, RowTable>();
  private readonly tokens = new Map<string, number>();
  private readonly operations: Readonly<Record<string, (input: never) => object>> = {
    CreateTable: (input: NewTable) => this.create(input),
    DescribeTable: (input: Input) => ({ Table: { TableName: this.table(input).name, TableStatus: 'ACTIVE' } }),
    GetItem: (input: Input) => this.get(input),
    BatchGetItem: (input: BatchInput) => this.getAll(input),
    PutItem: (input: Input) => this.write('PutItem', input),
    UpdateItem: (input: Input) => this.write('UpdateItem', input),
    DeleteItem: (input: Input) => this.write('DeleteItem', input),
    Query: (input: Input) => this.query(input),
    TransactWriteItems: (input: TransactionInput) => this.transact(input),
  };

  public constructor(private readonly now: () => number) {}

  /**
   * Carries out an operation, at one moment.
   *
   * @throws ServiceError
   */
  public call(operation: string, input: object): object {
    const run = Object.hasOwn(this.operations, operation) ? this.operations[operation] : undefined;
    if (!run) throw new ServiceError('UnknownOperationException', `${operation} of DynamoDB is not served here`);
    seeFields(operation, input);
    return run(input as never);
  }

  private create({ TableName: name, KeySchema: schema, AttributeDefinitions: definitions }: NewTable): object {
    if (this.tables.has(name)) throw new ServiceError('ResourceInUseException', `Table already exists: ${name}`);
    const keyOf = (keyType: string): KeyAttribute | undefined => {
      const attribute = schema.find(({ KeyType }) => KeyType === keyType)?.AttributeName;
      const type = definitions.find(({ AttributeName }) => AttributeName === attribute)?.AttributeType;
      return attribute === undefined ? undefined : { name: attribute, type: type as KeyAttribute['type'] };
    };
    const [partitionKey, sortKey] = [keyOf('HASH'), keyOf('RANGE')];
    if (!partitionKey) throw invalid('a table needs a partition key');
    this.tables.set(name, new RowTable(name, partitionKey, sortKey));
    return { TableDescription: { TableName: name, TableStatus: 'ACTIVE' } };
  }

  private get(input: Input): object {
    const holders = holdersOf(input);
    const project = projection(input, holders);
    holders.seeThatAllAreUsed();
    const row = this.table(input).get(input.Key ?? {});
    return row ? { Item: project(row) } : {};
  }

  private getAll({ RequestItems: requests }: BatchInput): object {
    const answers = Object.entries(requests).map(([TableName, { Keys: keys, ...others }]) => {
      const [unknown] = Object.keys(others);
      if (unknown !== undefined) throw invalid(`a local run does not know the field ${unknown} of BatchGetItem`);
      if (keys.length === 0 || keys.length > MOST_KEYS) throw invalid(`a batch has 1 to ${MOST_KEYS} keys`);
      const table = this.table({ TableName });
      const wanted = keys.map(normalisedRow);
      if (new Set(wanted.map((key) => table.identity(key))).size < wanted.length) {
        throw invalid('Provided list of item keys contains duplicates');
      }
      return [TableName, wanted.map((key) => table.get(key)).filter((row) => row !== undefined)] as const;
    });
    return { Responses: Object.fromEntries(answers), UnprocessedKeys: {} };
  }

  private write(operation: string, input: Input): object {
    const kept = input.ReturnValues ?? 'NONE';
    if (!['NONE', 'ALL_OLD', operation === 'UpdateItem' ? 'ALL_NEW' : ''].includes(kept)) {
      throw invalid(`a local run does not know ReturnValues ${kept} of ${operation}`);
    }
    const write = this.prepare(operation, input);
    write.apply();
    const row = kept === 'ALL_NEW' ? write.after : write.before;
    return kept === 'NONE' || !row ? {} : { Attributes: row };
  }

  /** @throws ServiceError where the write is malformed, or its condition does not hold */
  private prepare(operation: string, input: Input): PreparedWrite {
    const table = this.table(input);
    const holders = holdersOf(input);
    const condition = input.ConditionExpression;
    const test = condition === undefined ? () => true : readCondition(condition, holders);
    const item = input.Item && normalisedRow(input.Item);
    const change =
      operation === 'UpdateItem' ? readUpdate(input.UpdateExpression ?? '', holders, table.keyNames) : undefined;
    holders.seeThatAllAreUsed();
    if (item) table.seeRow(item);
    const key = normalisedRow(item ? table.keyOf(item) : (input.Key ?? {}));
    const before = table.get(key);
    if (!test(before ?? {})) {
      const isShown = before !== undefined && input.ReturnValuesOnConditionCheckFailure === 'ALL_OLD';
      const shown = isShown ? { Item: before } : {};
      throw new ServiceError('ConditionalCheckFailedException', 'The conditional request failed', 400, shown);
    }
    const after = change ? change(before ?? key) : item;
    if (after) table.seeRow(after);
    const writes = operation !== 'ConditionCheck';
    return {
      ...{ before, after },
      apply: () => {
        if (after) table.put(after);
        else if (writes) table.remove(key);
      },
    };
  }

  private query(input: Input): object {
    const table = this.table(input);
    const holders = holdersOf(input);
    const keys = readKeyCondition(input.KeyConditionExpression ?? '', holders, table.partitionKey.name);
    const filter = input.FilterExpression === undefined ? () => true : readCondition(input.FilterExpression, holders);
    const project = projection(input, holders);
    holders.seeThatAllAreUsed();
    const most = input.Limit ?? Infinity;
    if (most < 1) throw invalid(`Limit must be at least 1, got ${most}`);
    const items: Attributes[] = [];
    let [scanned, bytes] = [0, 0];
    let last: Attributes | undefined;
    for (const row of table.rowsOf(keys.partition, input.ScanIndexForward === false, input.ExclusiveStartKey)) {
      if (!keys.test(row)) continue;
      scanned += 1;
      bytes += Buffer.byteLength(JSON.stringify(row));
      if (filter(row)) items.push(project(row));
      // A page that is full names its last row, also where it is the last of all: so does DynamoDB.
      last = scanned >= most || bytes >= MOST_PAGE_BYTES ? table.keyOf(row) : undefined;
      if (last) break;
    }
    return { Items: items, Count: items.length, ScannedCount: scanned, ...(last && { LastEvaluatedKey: last }) };
  }

  private transact({ TransactItems: items, ClientRequestToken: token }: TransactionInput): object {
    if (items.length === 0 || items.length > MOST_WRITES) throw invalid(`a transaction has 1 to ${MOST_WRITES} writes`);
    for (const [known, until] of this.tokens) if (until <= this.now()) this.tokens.delete(known);
    if (token !== undefined && this.tokens.has(token)) return {};
    const writes = items.map((item) => writeOf(item));
    const rows = writes.map(({ input }) => {
      const table = this.table(input);
      return `${table.name} ${table.identity(normalisedRow(input.Key ?? table.keyOf(input.Item ?? {})))}`;
    });
    if (new Set(rows).size < rows.length) {
      throw invalid('Transaction request cannot include multiple operations on one item');
    }
    const outcomes = writes.map(({ operation, input }) => {
      try {
        return this.prepare(operation, input);
      } catch (error) {
        if (error instanceof ServiceError && error.code === 'ConditionalCheckFailedException') return error;
        throw error;
      }
    });
    if (outcomes.some((outcome) => outcome instanceof ServiceError)) throw cancelled(outcomes);
    for (const outcome of outcomes) if (!(outcome instanceof ServiceError)) outcome.apply();
    if (token !== undefined) this.tokens.set(token, this.now() + TOKEN_MS);
    return {};
  }

  private table({ TableName: name }: Pick<Input, 'TableName'>): RowTable {
    const table = this.tables.get(name);
    if (!table) throw new ServiceError('ResourceNotFoundException', `Requested resource not found: table ${name}`);
    return table;
  }
}

function holdersOf({ ExpressionAttributeNames: names, ExpressionAttributeValues: values }: Input): PlaceHolders {
  return new PlaceHolders(names, values && normalisedRow(values));
}

function projection({ ProjectionExpression: text }: Input, holders: PlaceHolders): (row: Attributes) => Attributes {
  if (text === undefined) return (row) => row;
  const reader = new ExpressionReader(text, holders);
  const names = reader.list(() => reader.name());
  reader.expectEnd();
  return (row) => Object.fromEntries(names.flatMap((name) => (row[name] ? [[name, row[name]]] : [])));
}

/** A write of a transaction, under the name that it has alone. */
function writeOf(item: Readonly<Record<string, Input>>): { readonly operation: string; readonly input: Input } {
  const [[kind, input] = ['', undefined], ...others] = Object.entries(item);
  const alone = { Put: 'PutItem', Update: 'UpdateItem', Delete: 'DeleteItem', ConditionCheck: 'ConditionCheck' };
  if (!input || others.length > 0 || !Object.hasOwn(alone, kind)) throw invalid(`no write of a transaction: ${kind}`);
  const operation = alone[kind as keyof typeof alone];
  seeFields(operation === 'ConditionCheck' ? 'DeleteItem' : operation, input);
  return { operation, input };
}

function cancelled(outcomes: readonly (PreparedWrite | ServiceError)[]): ServiceError {
  const reasons = outcomes.map((outcome) =>
    outcome instanceof ServiceError ? { Code: 'ConditionalCheckFailed', Message: outcome.message } : { Code: 'None' },
  );
  const words = `Transaction cancelled for reasons [${reasons.map(({ Code }) => Code).join(', ')}]`;
  return new ServiceError('TransactionCanceledException', words, 400, { CancellationReasons: reasons });
}

function seeFields(operation: string, input: object): void {
  const known = FIELDS[operation];
  const unknown = Object.keys(input).find((field) => known && !known.includes(field));
  if (unknown !== undefined) throw invalid(`a local run does not know the field ${unknown} of ${operation}`);
}

/** Numbers as DynamoDB keeps them, so that a key is found however its number is written. */
function normalisedRow(row: Attributes): Attributes {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, normalisedValue(value)]));
}

function normalisedValue(value: AttributeValue): AttributeValue {
  if ('N' in value) {
    if (!/^[+-]?\d+(\.\d*)?([eE][+-]?\d{1,3})?$/.test(value.N)) throw invalid(`"${value.N}" is no number`);
    return { N: normalised(value.N) };
  }
  if ('L' in value) return { L: value.L.map(normalisedValue) };
  if ('M' in value) return { M: normalisedRow(value.M) };
  if ('S' in value || 'B' in value || 'BOOL' in value || 'NULL' in value) return value;
  throw invalid(`a local run does not know values of type ${Object.keys(value).join()}`);
}
