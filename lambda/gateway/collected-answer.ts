import type { ClientConnection } from './client-connection';
import { HangUp } from './hang-up';

/** Takes an answer in place of a client, and keeps it. */
export class CollectedAnswer implements ClientConnection {
  public readonly hungUp = new HangUp();
  /** Headers of the answer; none before it has begun. */
  public headers: Readonly<Record<string, string>> = {};
  private head: number | undefined;
  private readonly chunks: Buffer[] = [];

  public get started(): boolean {
    return this.head !== undefined;
  }

  /** Status of the answer; 0 before it has begun. */
  public get status(): number {
    return this.head ?? 0;
  }

  /** The body as text. */
  public text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }

  /** The body, as JSON where it is that, or else as text. */
  public body(): unknown {
    const text = this.text();
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }

  public start(status: number, headers: Readonly<Record<string, string>> = {}): void {
    this.head = status;
    this.headers = headers;
  }

  public write(chunk: Buffer | string): Promise<void> {
    this.chunks.push(Buffer.from(chunk));
    return Promise.resolve();
  }

  public end(chunk?: Buffer | string): Promise<void> {
    return chunk === undefined ? Promise.resolve() : this.write(chunk);
  }
}
