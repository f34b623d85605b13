import type { Writable } from 'node:stream';

declare global {
  /** What Lambda's Node runtime puts in the global scope of a response-streaming function; a local run does the same. */
  namespace awslambda {
    /** Status and headers, which precede the body. */
    interface ResponseMetadata {
      readonly statusCode: number;
      readonly headers: Readonly<Record<string, string>>;
    }

    /** A handler that writes its answer to a stream. */
    type StreamingHandler<Event> = (event: Event, responseStream: Writable, context: unknown) => Promise<void>;

    /** Tells the runtime that a handler is of that kind. */
    function streamifyResponse<Event>(handler: StreamingHandler<Event>): StreamingHandler<Event>;

    const HttpResponseStream: {
      /** The stream of the body, once status and headers are known. They leave with the first write. */
      from(stream: Writable, metadata: ResponseMetadata): Writable;
    };
  }
}
