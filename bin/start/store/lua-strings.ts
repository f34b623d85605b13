import type { Bytes } from './command';
import { lobject, lstring, lua, type State } from './fengari';

/** Bytes in Lua's form. */
export function luaBytes(bytes: Bytes): Uint8Array {
  const { buffer, byteOffset, length } = Buffer.from(bytes, 'latin1');
  return new Uint8Array(buffer, byteOffset, length);
}

/** Lua's form of a string as bytes. */
export function fromLuaBytes(text: Uint8Array): Bytes {
  return Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1');
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
