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
