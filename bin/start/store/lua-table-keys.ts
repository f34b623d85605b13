import { lstring } from './fengari';

const HEX_DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * Lets tables tell all strings apart. fengari keeps a value under the hexadecimal digits of its key's bytes, without
 * leading zeros, so that "\n0" and "\xa3\0" are one key to it.
 */
export function useWholeKeys(): void {
  Object.defineProperty(lstring.TString.prototype, 'hash', {
    get(this: LuaString) {
      return (this.tableKey ??= tableKey(this.realstring));
    },
    // Each new string sets it to null.
    set(this: LuaString) {
      this.tableKey = undefined;
    },
    configurable: true,
  });
}

interface LuaString {
  readonly realstring: Uint8Array;
  tableKey: string | undefined;
}

/** As fengari has it where no zero leads: its lexer finds Lua's own words by it. */
function tableKey(bytes: Uint8Array): string {
  let key = '|';
  for (const byte of bytes) key += HEX_DIGITS[byte]!;
  return key;
}
