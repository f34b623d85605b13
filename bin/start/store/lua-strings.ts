import type { Bytes } from './command';
import { lobject, lstring, lua, type State } from './fengari';

/** Up to this length a loop is faster than Buffer's native copies. */
const SHORT = 48;

/** Bytes in Lua's form. */
export function luaBytes(bytes: Bytes): Uint8Array {
  const text = new Uint8Array(bytes.length);
  if (bytes.length > SHORT) Buffer.from(text.buffer).write(bytes, 'latin1');
  else for (let i = 0; i < bytes.length; i++) text[i] = bytes.charCodeAt(i);
  return text;
}

/** Lua's form of a string as bytes. */
export function fromLuaBytes(text: Uint8Array): Bytes {
  if (text.length > SHORT) return Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1');
  let bytes = '';
  for (const byte of text) bytes += String.fromCharCode(byte);
  return bytes;
}

/** Puts bytes on the stack. The library's own function copies them, one by one. */
export function pushBytes(state: State, bytes: Bytes): void {
  lobject.pushsvalue2s(state, lstring.luaS_bless(state, luaBytes(bytes)));
}

/** The string at a place on the stack, and of a number its text. */
export function bytesAt(state: State, index: number): Bytes {
  const text = lua.lua_tolstring(state, index);
  return text === null ? '' : fromLuaBytes(text);
}
