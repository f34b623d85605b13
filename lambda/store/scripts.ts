import { createHash } from 'node:crypto';
import claimText from '../circuit-breaking/claim.lua';
import recordText from '../circuit-breaking/record.lua';
import admitText from '../rate-limiting/admit.lua';
import settleText from '../rate-limiting/settle.lua';

/** A Lua script and the name under which the store remembers it. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

/** The scripts that run inside the store. */
export const SCRIPTS = {
  admit: script(admitText),
  settle: script(settleText),
  claim: script(claimText),
  record: script(recordText),
} as const;

/** Names a script by the SHA-1 of its text, as the store does. */
export function script(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}
