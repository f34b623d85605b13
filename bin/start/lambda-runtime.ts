import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import type { FunctionDefinition } from './function-definition';
import { type FunctionScope, inScope } from './function-scope';
import { ResponseStream } from './response-stream';

/** A function that is ready to be invoked, any number of times at once. */
export interface LambdaFunction {
  /** Runs the handler to its end and returns its answer. */
  invoke(event: unknown): Promise<unknown>;
  /**
   * Runs a response-streaming handler. Its answer leaves by the returned stream as it is written; destroying the
   * stream is how the handler learns that the client hung up. `ended` settles when the handler itself has ended,
   * which may be after its last byte, and never rejects.
   */
  invokeStreaming(event: unknown): { readonly stream: ResponseStream; readonly ended: Promise<void> };
}

/** How a module is loaded; `import` in every run but a test. */
export type ImportModule = (url: string) => Promise<Record<string, unknown>>;

type Handler = (...args: unknown[]) => unknown;

const importModule: ImportModule = (url) => import(url) as Promise<Record<string, unknown>>;

/** Each load gets modules of its own, as a new execution environment does. */
let loads = 0;

/** Loads the built bundle of a function, unchanged, in the surroundings that Lambda's Node.js runtime gives it. */
export async function loadFunction(
  definition: FunctionDefinition,
  log: FunctionScope['log'],
  load: ImportModule = importModule,
): Promise<LambdaFunction> {
  Object.assign(globalThis, { awslambda: AWSLAMBDA });
  const scope: FunctionScope = { environment: { ...definition.environment }, log };
  loads += 1;
  const url = `${pathToFileURL(definition.file).href}?load=${loads}`;
  const module = await inScope(scope, () => load(url));
  const handler = module[definition.handler];
  if (typeof handler !== 'function') {
    throw new Error(`function ${definition.id}: ${definition.file} exports no "${definition.handler}"`);
  }

  const call = (...args: unknown[]) =>
    inScope(scope, () => Promise.resolve().then(() => (handler as Handler)(...args, invocationContext(definition))));
  return {
    invoke: (event) => call(event),
    invokeStreaming: (event) => {
      const stream = new ResponseStream();
      // A failed handler breaks its stream: whoever reads it sees the error.
      const ended = call(event, stream).then(
        () => undefined,
        (error: unknown) => {
          stream.destroy(error instanceof Error ? error : new Error(String(error)));
        },
      );
      return { stream, ended };
    },
  };
}

/** The global of Lambda's Node.js runtime. A streaming handler is told by how it is invoked, so the mark is the handler. */
const AWSLAMBDA = {
  streamifyResponse: <T extends Handler>(handler: T): T => handler,
  HttpResponseStream: {
    from: (stream: ResponseStream, metadata: unknown): ResponseStream => {
      stream.precedeWith(metadata);
      return stream;
    },
  },
};

function invocationContext(definition: FunctionDefinition): object {
  const deadline = Date.now() + definition.timeoutMs;
  return {
    functionName: definition.id,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:us-east-1:000000000000:function:${definition.id}`,
    memoryLimitInMB: definition.environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: randomUUID(),
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  };
}
