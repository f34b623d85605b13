import { lstring } from './fengari';

const KEY = Symbol('key');

/**
 * Lets tables tell all strings apart. fengari keeps a value under the hexadecimal digits of its key's bytes, without
 * leading zeros, so that "\n0" and "\xa3\0" are one key to it.
 */
export function useWholeKeys(): void {
  Object.defineProperty(lstring.TString.prototype, 'hash', {
    get(this: KeyedString) {
      if (this[KEY] === undefined) {
        const { buffer, byteOffset, length } = this.getstr();
        // As fengari has it where no zero leads: its lexer finds Lua's own words by it.
        this[KEY] = `|${Buffer.from(buffer, byteOffset, length).toString('hex')}`;
      }
      return this[KEY];
    },
    // Each new string sets it to null.
    set: () => undefined,
    configurable: true,
  });
}

interface KeyedString {
  getstr(): Uint8Array;
  [KEY]?: string;
}
