/**
 * What of fengari is used here; it has no types of its own. Some of it is not for the public, and so its version is
 * pinned. The libraries that reach files and processes are never opened.
 */

declare module 'fengari/src/lua.js' {
  /** A thread of a virtual machine, with the stack by which Lua and JavaScript exchange values. */
  export interface State {
    readonly __state: never;
  }
  export interface Activation {
    short_src: Uint8Array;
    source: Uint8Array;
    currentline: number;
    what: Uint8Array;
  }
  export type LuaFunction = (state: State) => number;
  interface Lua {
    readonly LUA_OK: number;
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_RIDX_GLOBALS: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    readonly LUA_TLIGHTUSERDATA: number;
    readonly lua_Debug: new () => Activation;
    lua_atnativeerror(state: State, handler: LuaFunction): void;
    lua_checkstack(state: State, slots: number): boolean;
    lua_createtable(state: State, items: number, fields: number): void;
    lua_error(state: State): number;
    lua_getfield(state: State, index: number, name: Uint8Array): number;
    lua_getinfo(state: State, what: Uint8Array, activation: Activation): number;
    lua_getstack(state: State, level: number, activation: Activation): number;
    lua_gettop(state: State): number;
    lua_pcall(state: State, args: number, results: number, handler: number): number;
    lua_pop(state: State, count: number): void;
    lua_pushboolean(state: State, value: boolean): void;
    lua_pushcfunction(state: State, run: LuaFunction): void;
    lua_pushnil(state: State): void;
    lua_pushnumber(state: State, value: number): void;
    lua_pushvalue(state: State, index: number): void;
    lua_rawgeti(state: State, index: number, item: number): number;
    lua_rawseti(state: State, index: number, item: number): void;
    lua_setfield(state: State, index: number, name: Uint8Array): void;
    lua_setglobal(state: State, name: Uint8Array): void;
    lua_settop(state: State, index: number): void;
    lua_toboolean(state: State, index: number): boolean;
    lua_tolstring(state: State, index: number): Uint8Array | null;
    lua_tonumber(state: State, index: number): number;
    lua_touserdata(state: State, index: number): unknown;
    lua_type(state: State, index: number): number;
  }
  const lua: Lua;
  export default lua;
}

declare module 'fengari/src/lauxlib.js' {
  import type { LuaFunction, State } from 'fengari/src/lua.js';
  const lauxlib: {
    luaL_argerror(state: State, argument: number, message: Uint8Array): never;
    luaL_checknumber(state: State, argument: number): number;
    luaL_checkstring(state: State, argument: number): Uint8Array;
    luaL_loadbuffer(state: State, text: Uint8Array, size: number, name: Uint8Array): number;
    luaL_newstate(): State;
    luaL_ref(state: State, table: number): number;
    luaL_requiref(state: State, name: Uint8Array, open: LuaFunction, asGlobal: boolean): void;
    luaL_tolstring(state: State, index: number): Uint8Array;
    luaL_unref(state: State, table: number, reference: number): void;
  };
  export default lauxlib;
}

declare module 'fengari/src/lbaselib.js' {
  import type { LuaFunction } from 'fengari/src/lua.js';
  const library: { readonly luaopen_base: LuaFunction };
  export default library;
}

declare module 'fengari/src/lmathlib.js' {
  import type { LuaFunction } from 'fengari/src/lua.js';
  const library: { readonly luaopen_math: LuaFunction };
  export default library;
}

declare module 'fengari/src/lstrlib.js' {
  import type { LuaFunction } from 'fengari/src/lua.js';
  const library: { readonly luaopen_string: LuaFunction };
  export default library;
}

declare module 'fengari/src/ltablib.js' {
  import type { LuaFunction } from 'fengari/src/lua.js';
  const library: { readonly luaopen_table: LuaFunction };
  export default library;
}

declare module 'fengari/src/lstring.js' {
  import type { State } from 'fengari/src/lua.js';
  const lstring: {
    readonly TString: { readonly prototype: object };
    /** A string that is these bytes, and no copy of them. */
    luaS_bless(state: State, bytes: Uint8Array): object;
  };
  export default lstring;
}

declare module 'fengari/src/lobject.js' {
  import type { State } from 'fengari/src/lua.js';
  /** A place in which a value lies. */
  export interface Slot {
    readonly value: unknown;
    ttisinteger(): boolean;
    setfltvalue(value: number): void;
    setsvalue(text: object): void;
  }
  const lobject: {
    /** Puts the number that a text spells into a slot, and returns how long the text is and 1 more, or 0 for no number. */
    luaO_str2num: (text: Uint8Array, slot: Slot) => number;
    /** Turns a number in its slot into its text. */
    luaO_tostring: (state: State, slot: Slot) => void;
    pushsvalue2s(state: State, text: object): void;
  };
  export default lobject;
}
