import type { ClientConnection } from '../../gateway/client-connection';
import { HangUp } from '../../gateway/hang-up';

/** Takes an answer in place of a client, and keeps it. */
export class CollectedAnswer implements ClientConnection {
  public readonly hungUp = new HangUp();
  private head: number | undefined;
  private readonly chunks: Buffer[] = [];

  public get started(): boolean {
    return this.head !== undefined;
  }

  /** Status of the answer; 0 before it has begun. */
  public get status(): number {
    return this.head ?? 0;
  }

  /** The body, as JSON where it is that, or else as text. */
  public body(): unknown {
    const text = Buffer.concat(this.chunks).toString('utf8');
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return text;
    }
  }

  public start(status: number): void {
    this.head = status;
  }

  public write(chunk: Buffer | string): Promise<void> {
    this.chunks.push(Buffer.from(chunk));
    return Promise.resolve();
  }

  public end(chunk?: Buffer | string): Promise<void> {
    return chunk === undefined ? Promise.resolve() : this.write(chunk);
  }
}
