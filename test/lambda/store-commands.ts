import { Redis as Valkey } from 'ioredis';

/** Runs scripts on a clock that the test sets, in place of the server's. */
export class ClockedScripts {
  private readonly client: Valkey;

  constructor(url: string) {
    this.client = new Valkey(url);
  }

  /** Runs a script at a moment, in milliseconds. */
  public run(text: string, now: number, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const time = `{ '${Math.floor(now / 1000)}', '${(now % 1000) * 1000}' }`;
    return this.client.eval(text.replace("redis.call('TIME')", time), keys.length, ...keys, ...args);
  }

  public close(): void {
    this.client.disconnect();
  }
}
