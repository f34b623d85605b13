/** What CloudFormation asks a custom resource. */
export interface CustomResourceEvent<Properties> {
  readonly RequestType: 'Create' | 'Update' | 'Delete';
  readonly ResponseURL: string;
  readonly StackId: string;
  readonly RequestId: string;
  readonly LogicalResourceId: string;
  /** Id that the resource gave itself; missing in a Create. */
  readonly PhysicalResourceId?: string;
  readonly ResourceProperties: Properties;
  /** What they were; in an Update only. */
  readonly OldResourceProperties?: Properties;
}

/** What became of the resource: its id, and the attributes that a template may read. */
export interface CustomResourceResult {
  readonly physicalId: string;
  readonly data?: Readonly<Record<string, string>>;
}

/** Sends CloudFormation its answer. */
export type PutAnswer = (url: string, body: string) => Promise<void>;

/**
 * Id of a resource whose creation failed. CloudFormation deletes what it rolls back, by this id, and must be told that
 * all is well: nothing came to be.
 */
const NEVER_CREATED = 'never-created';

/** CloudFormation keeps at most 4 kB of an answer. */
const MOST_REASON_CHARACTERS = 1000;

/**
 * Does what CloudFormation asks and always answers it: without an answer a deployment hangs for an hour.
 *
 * @param act creates, updates or deletes the resource; not called to delete what was never created
 */
export async function answerCloudFormation<Properties>(
  event: CustomResourceEvent<Properties>,
  act: (event: CustomResourceEvent<Properties>) => Promise<CustomResourceResult>,
  put: PutAnswer,
): Promise<void> {
  const { StackId, RequestId, LogicalResourceId, PhysicalResourceId } = event;
  const common = { StackId, RequestId, LogicalResourceId };
  let answer: object;
  try {
    const isDone = event.RequestType === 'Delete' && PhysicalResourceId === NEVER_CREATED;
    const { physicalId, data } = isDone ? { physicalId: NEVER_CREATED } : await act(event);
    answer = { ...common, Status: 'SUCCESS', PhysicalResourceId: physicalId, ...(data && { Data: data }) };
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    answer = {
      ...common,
      Status: 'FAILED',
      Reason: `${event.RequestType} failed: ${reason}`.slice(0, MOST_REASON_CHARACTERS),
      PhysicalResourceId: PhysicalResourceId ?? NEVER_CREATED,
    };
  }
  await put(event.ResponseURL, JSON.stringify(answer));
}

/** Puts the answer to the signed address; the signature covers an empty content type. */
export async function putAnswer(url: string, body: string): Promise<void> {
  const response = await fetch(url, { method: 'PUT', headers: { 'content-type': '' }, body });
  if (!response.ok) throw new Error(`CloudFormation's address answered ${response.status}`);
}
