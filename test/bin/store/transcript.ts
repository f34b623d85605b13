import { afterAll, beforeAll } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import { encodeReply } from '../../../bin/start/resp';

/** A request: texts whose characters are bytes. */
export type Request = readonly string[];

const MARK = 'end-of-this-reply';
const MARK_REPLY = `$${MARK.length}\r\n${MARK}\r\n`;

/** A connection that shows what a store answers, to the last byte. */
export class Transcripts {
  private readonly socket: Socket;
  private received = '';
  private check: () => void = () => undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname).setEncoding('latin1');
    this.socket.setNoDelay(true);
    this.socket.on('data', (text: string) => {
      this.received += text;
      this.check();
    });
  }

  /** The raw reply to each request. */
  public async of(requests: readonly Request[]): Promise<string[]> {
    const marked = requests.flatMap((request) => [request, ['ECHO', MARK]]);
    this.socket.write(Buffer.concat(marked.map((request) => encodeReply(request, 'latin1'))));
    return new Promise((resolve, reject) => {
      this.socket.once('close', () => {
        reject(new Error(`the connection was closed after: ${this.received}`));
      });
      this.check = () => {
        const replies = this.received.split(MARK_REPLY);
        if (replies.length <= requests.length) return;
        this.received = '';
        this.socket.removeAllListeners('close');
        resolve(replies.slice(0, -1));
      };
    });
  }

  public close(): void {
    this.socket.removeAllListeners('close').destroy();
  }
}

/** What a store answers to a request, beside the request. */
export interface Answer {
  readonly request: Request;
  readonly reply: string;
}

/** An embedded store and a real one, to be asked the same. */
export interface BothStores {
  readonly embedded: () => Transcripts;
  /** What each of them answers, emptied before. */
  readonly answers: (requests: readonly Request[]) => Promise<{ readonly embedded: Answer[]; readonly real: Answer[] }>;
}

/** Opens a connection to each of the stores for the time of a suite. */
export function askBothStores(urls: () => Readonly<Record<'embedded store' | 'real store', string>>): BothStores {
  let stores: { readonly embedded: Transcripts; readonly real: Transcripts };
  beforeAll(() => {
    const { 'embedded store': embedded, 'real store': real } = urls();
    stores = { embedded: new Transcripts(embedded), real: new Transcripts(real) };
  });
  afterAll(() => {
    stores.embedded.close();
    stores.real.close();
  });
  const answersOf = async (store: Transcripts, requests: readonly Request[]) => {
    const replies = await store.of([['FLUSHALL'], ...requests]);
    // A script is shown by its last parts, its keys and arguments: the text would bury them.
    return replies.slice(1).map((reply, i) => ({ request: requests[i]!.slice(-20), reply }));
  };
  return {
    embedded: () => stores.embedded,
    answers: async (requests) => {
      const [embedded, real] = await Promise.all([
        answersOf(stores.embedded, requests),
        answersOf(stores.real, requests),
      ]);
      return { embedded, real };
    },
  };
}
