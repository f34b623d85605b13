/** A request to an AWS service, as it goes over the wire. */
export interface WireRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Names of what is called: queues by their URLs. */
export type QueueNames = Readonly<Record<string, string>>;

/** Services by what their operations' targets begin with, in the JSON protocols. */
const TARGETS: Readonly<Record<string, string>> = {
  AmazonSQS: 'sqs',
  DynamoDB_20120810: 'dynamodb',
  secretsmanager: 'secretsmanager',
  AWSEvents: 'events',
  AWSStepFunctions: 'states',
};

/** The kinds of writes in a transaction of DynamoDB, and what each is permitted by. */
const TRANSACTION_ACTIONS: Readonly<Record<string, string>> = {
  Put: 'dynamodb:PutItem',
  Update: 'dynamodb:UpdateItem',
  Delete: 'dynamodb:DeleteItem',
  ConditionCheck: 'dynamodb:ConditionCheckItem',
};

/** Operations that are told by their paths, and what permits them. */
const PATH_OPERATIONS: readonly { readonly pattern: RegExp; readonly actions: (request: WireRequest) => string[] }[] = [
  { pattern: /^\/2015-03-31\/functions\/[^/]+\/invocations$/, actions: () => ['lambda:InvokeFunction'] },
  { pattern: /^\/(Create|Get|Delete)Index$|^\/PutVectors$/, actions: ({ url }) => [`s3vectors:${url.slice(1)}`] },
  {
    pattern: /^\/QueryVectors$/,
    // To be given what is kept beside a vector needs a permission more.
    actions: ({ body }) => [
      's3vectors:QueryVectors',
      ...((JSON.parse(body.toString()) as { returnMetadata?: boolean }).returnMetadata ? ['s3vectors:GetVectors'] : []),
    ],
  },
];

/**
 * The IAM actions that permit a request, each with what it is called on: `dynamodb:GetItem`, `s3:PutObject files/`,
 * `sqs:SendMessage work`.
 *
 * @throws for a request that is not understood: what is overlooked would be a permission that is not missed
 */
export function actionsOf(request: WireRequest, queues: QueueNames): string[] {
  const target = request.headers['x-amz-target'];
  if (typeof target === 'string') return jsonActions(target, request.body, queues);
  const operation = PATH_OPERATIONS.find(({ pattern }) => pattern.test(request.url));
  return operation ? operation.actions(request) : [objectAction(request)];
}

function jsonActions(target: string, body: Buffer, queues: QueueNames): string[] {
  const [prefix = '', operation = ''] = target.split('.');
  const service = TARGETS[prefix];
  if (!service) throw new Error(`not a known service: ${target}`);
  const input = JSON.parse(body.toString()) as { QueueUrl?: string; TransactItems?: Record<string, unknown>[] };
  if (operation === 'TransactWriteItems') {
    return (input.TransactItems ?? []).flatMap((write) => Object.keys(write).map((kind) => TRANSACTION_ACTIONS[kind]!));
  }
  if (service !== 'sqs') return [`${service}:${operation}`];
  // A batch of messages is permitted by the action for one.
  return [`sqs:${operation.replace(/Batch$/, '')} ${queues[input.QueueUrl!] ?? input.QueueUrl}`];
}

/** Of S3, addressed by path: `/bucket/prefix/...`, and of a listing by what the keys begin with. */
function objectAction({ method, url }: WireRequest): string {
  const { pathname, searchParams } = new URL(url, 'http://s3');
  const [, , prefix, ...rest] = pathname.split('/');
  if (searchParams.has('versions')) return `s3:ListBucketVersions ${searchParams.get('prefix')!.split('/')[0]!}/`;
  if (searchParams.get('list-type') === '2' && searchParams.has('prefix'))
    return `s3:ListBucket ${searchParams.get('prefix')!.split('/')[0]!}/`;
  const on = rest.length > 0 ? `${prefix}/` : '';
  if (method === 'DELETE' && searchParams.has('versionId')) return `s3:DeleteObjectVersion ${on}`;
  const isPartial = searchParams.has('uploadId') || searchParams.has('uploads');
  const action = {
    GET: 's3:GetObject',
    HEAD: 's3:GetObject',
    PUT: 's3:PutObject',
    POST: isPartial ? 's3:PutObject' : undefined,
    DELETE: isPartial ? 's3:AbortMultipartUpload' : 's3:DeleteObject',
  }[method];
  if (!action || on === '') throw new Error(`not a known request: ${method} ${url}`);
  return `${action} ${on}`;
}
