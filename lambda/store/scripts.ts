import { createHash } from 'node:crypto';
import breakerText from '../circuit-breaking/breaker.lua';
import claimText from '../circuit-breaking/claim.lua';
import admitText from '../gateway/admit.lua';
import settleText from '../gateway/settle.lua';
import loadText from '../load-balancing/load.lua';
import roomText from '../load-balancing/room.lua';
import keepText from '../rate-limiting/keep.lua';
import preludeText from './prelude.lua';

/** A Lua script and the name under which the store remembers it. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

/** The scripts that run inside the store, each with the laws that it obeys. */
export const SCRIPTS = {
  admit: script(preludeText, breakerText, loadText, roomText, keepText, admitText),
  settle: script(preludeText, breakerText, loadText, keepText, settleText),
  claim: script(preludeText, claimText),
} as const;

/**
 * Joins the parts of a script, without comments and indentation, and names it by the SHA-1 of its text, as the store
 * does.
 */
export function script(...parts: readonly string[]): Script {
  const text = parts.join('\n').replaceAll(/--.*$/gm, '').replaceAll(/\n\s*/g, '\n');
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}
