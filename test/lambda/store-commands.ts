import { Redis as Valkey } from 'ioredis';
import type { Command } from '../../lambda/store/connection';

/** Runs scripts on a clock that the test sets, in place of the server's. */
export class ClockedScripts {
  private readonly client: Valkey;

  constructor(url: string) {
    this.client = new Valkey(url);
  }

  /** Runs a script at a moment, in milliseconds. */
  public run(
    text: string,
    now: number,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    const time = `{ '${Math.floor(now / 1000)}', '${(now % 1000) * 1000}' }`;
    return this.client.eval(text.replace("redis.call('TIME')", time), keys.length, ...keys, ...args);
  }

  /** Runs the command of a script at a moment. */
  public runCommand(command: Command, now: number): Promise<unknown> {
    if (!('script' in command)) throw new Error('only scripts have a clock');
    return this.run(command.script.text, now, command.keys, command.args);
  }

  /** Fields of a hash; nothing is ''. */
  public async fields(key: string, names: readonly string[]): Promise<string[]> {
    const values = await this.client.hmget(key, ...names);
    return values.map((value) => value ?? '');
  }

  public close(): void {
    this.client.disconnect();
  }
}
