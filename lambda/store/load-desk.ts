import tokensText from '../auto-scaling/tokens.lua';
import loadText from '../load-balancing/load.lua';
import { loadKey } from './keys';
import preludeText from './prelude.lua';
import { script } from './scripts';
import type { Trip } from './valkey-store';

const TOKENS = script(preludeText, loadText, tokensText);

/** What backends have in progress in the shared store, for whoever scales them. */
export class LoadDesk {
  constructor(private readonly trip: Trip) {}

  /** Reads the tokens in progress of backends, in one trip; one that no request has touched has none. */
  public async tokens(backends: readonly string[]): Promise<number[]> {
    const [reply] = await this.trip([{ script: TOKENS, keys: backends.map(loadKey), args: [] }]);
    return (reply as readonly string[]).map(Number);
  }
}
