import { ErrorReply, type Reply, StatusReply } from '../resp';
import { formatGeneral } from './c-format';
import type { Bytes } from './command';
import { lauxlib, lbaselib, lmathlib, lstrlib, ltablib, lua, type LuaFunction, type State } from './fengari';
import { stringFormat } from './lua-format';
import { useFloatsOnly } from './lua-numbers';
import sandboxText from './lua-sandbox.lua';
import { bytesAt, luaBytes, pushBytes } from './lua-strings';
import { useWholeKeys } from './lua-table-keys';

/** A script that is ready to run; a place in the machine's registry. */
export type Compiled = number & { readonly __compiled: never };

const CHUNK = luaBytes('@user_script');
const [KEYS, ARGV, OK, ERR] = ['KEYS', 'ARGV', 'ok', 'err'].map(luaBytes) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const LIBRARIES: Record<string, LuaFunction> = {
  _G: lbaselib.luaopen_base,
  string: lstrlib.luaopen_string,
  table: ltablib.luaopen_table,
  math: lmathlib.luaopen_math,
};

/**
 * A Lua machine that lives as long as its store. Scripts are compiled once and run many times; they see their KEYS and
 * ARGV, `redis`, and the parts of Lua 5.1 that reach nothing outside, all read-only. The grammar is that of Lua 5.3.
 */
export class LuaEngine {
  private readonly state: State;
  private readonly globals: number;
  /** Where the script at hand failed. */
  private failedAt = '';

  /**
   * @param call runs a command for a script
   * @param functions what `redis` offers besides `call` and `pcall`
   */
  constructor(
    call: (args: readonly Bytes[]) => Reply,
    functions: Readonly<Record<string, (argument: Bytes | undefined) => Reply>>,
  ) {
    useFloatsOnly();
    useWholeKeys();
    const state = (this.state = lauxlib.luaL_newstate());
    lua.lua_atnativeerror(state, nativeError);
    for (const [name, open] of Object.entries(LIBRARIES)) {
      lauxlib.luaL_requiref(state, luaBytes(name), open, true);
      if (name === 'string') this.register('format', stringFormat);
      lua.lua_settop(state, 0);
    }
    if (
      lauxlib.luaL_loadbuffer(state, luaBytes(sandboxText), sandboxText.length, luaBytes('=sandbox')) !== lua.LUA_OK
    ) {
      throw new Error(bytesAt(state, -1));
    }
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, lua.LUA_RIDX_GLOBALS);
    lua.lua_createtable(state, 0, 0);
    const runCommand = (caller: State) => call(argumentsOf(caller));
    this.register('call', raising(runCommand));
    this.register('pcall', giving(runCommand));
    for (const [name, run] of Object.entries(functions)) {
      this.register(
        name,
        raising((caller) => {
          const isText = lua.lua_gettop(caller) === 1 && lua.lua_type(caller, 1) === lua.LUA_TSTRING;
          return run(isText ? bytesAt(caller, 1) : undefined);
        }),
      );
    }
    if (lua.lua_pcall(state, 2, 2, 0) !== lua.LUA_OK) throw new Error(bytesAt(state, -1));
    lua.lua_rawseti(state, lua.LUA_REGISTRYINDEX, lua.LUA_RIDX_GLOBALS);
    this.globals = lauxlib.luaL_ref(state, lua.LUA_REGISTRYINDEX);
  }

  /** @throws ErrorReply where a script does not compile */
  public compile(script: Bytes): Compiled {
    const text = luaBytes(script);
    if (lauxlib.luaL_loadbuffer(this.state, text, text.length, CHUNK) !== lua.LUA_OK) {
      const message = bytesAt(this.state, -1);
      lua.lua_settop(this.state, 0);
      throw new ErrorReply(`ERR Error compiling script (new function): ${message}`);
    }
    return lauxlib.luaL_ref(this.state, lua.LUA_REGISTRYINDEX) as Compiled;
  }

  /** Lets the memory of a script go. */
  public forget(script: Compiled): void {
    lauxlib.luaL_unref(this.state, lua.LUA_REGISTRYINDEX, script);
  }

  /** Runs a script to its end. @throws ErrorReply where it fails; what it has written by then stays. */
  public run(script: Compiled, sha1: string, keys: readonly Bytes[], args: readonly Bytes[]): Reply {
    const { state } = this;
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, this.globals);
    pushReply(state, keys);
    lua.lua_setfield(state, -2, KEYS);
    pushReply(state, args);
    lua.lua_setfield(state, -2, ARGV);
    lua.lua_settop(state, 0);
    lua.lua_pushcfunction(state, this.locate);
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, script);
    try {
      if (lua.lua_pcall(state, 0, 1, 1) === lua.LUA_OK) return replyAt(state, 2);
      throw new ErrorReply(`${errorTextAt(state, 2)} script: ${sha1}, on ${this.failedAt}.`);
    } finally {
      lua.lua_settop(state, 0);
    }
  }

  private register(name: string, run: LuaFunction): void {
    lua.lua_pushcfunction(this.state, run);
    lua.lua_setfield(this.state, -2, luaBytes(name));
  }

  /** Notes the line of the script that has failed. */
  private readonly locate: LuaFunction = (state) => {
    const activation = new lua.lua_Debug();
    this.failedAt = '@user_script:0';
    for (let level = 1; lua.lua_getstack(state, level, activation); level++) {
      lua.lua_getinfo(state, luaBytes('Sl'), activation);
      if (Buffer.compare(activation.source, CHUNK) !== 0) continue;
      this.failedAt = `@user_script:${activation.currentline}`;
      break;
    }
    return 1;
  };
}

/** A function of Lua that gives what one of JavaScript replies, and raises the error that it throws. */
function raising(reply: (state: State) => Reply): LuaFunction {
  return (state) => {
    try {
      pushReply(state, reply(state));
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      pushReply(state, error);
      return lua.lua_error(state);
    }
    return 1;
  };
}

/** A function of Lua that gives the error as well. */
function giving(reply: (state: State) => Reply): LuaFunction {
  return raising((state) => {
    try {
      return reply(state);
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error;
      return error;
    }
  });
}

/** The arguments of a command: strings, and numbers to their last digit. */
function argumentsOf(state: State): Bytes[] {
  const count = lua.lua_gettop(state);
  if (count === 0) throw new ErrorReply('ERR Please specify at least one argument for this redis lib call');
  const args = new Array<Bytes>(count);
  for (let i = 1; i <= count; i++) {
    const type = lua.lua_type(state, i);
    if (type === lua.LUA_TSTRING) args[i - 1] = bytesAt(state, i);
    else if (type === lua.LUA_TNUMBER) args[i - 1] = formatGeneral(lua.lua_tonumber(state, i), 17);
    else throw new ErrorReply('ERR Lua redis lib command arguments must be strings or integers');
  }
  return args;
}

/** A reply as a script sees it: nothing is false, a status `{ok = …}`, an error `{err = …}`. */
function pushReply(state: State, reply: Reply): void {
  if (reply === null) lua.lua_pushboolean(state, false);
  else if (typeof reply === 'string') pushBytes(state, reply);
  else if (typeof reply === 'number' || typeof reply === 'bigint') lua.lua_pushnumber(state, Number(reply));
  else if (Buffer.isBuffer(reply)) pushBytes(state, reply.toString('latin1'));
  else if (reply instanceof StatusReply) pushField(state, OK, reply.text);
  else if (reply instanceof Error) pushField(state, ERR, reply.message);
  else {
    lua.lua_checkstack(state, SLOTS_FOR_ITEM);
    lua.lua_createtable(state, reply.length, 0);
    for (let i = 0; i < reply.length; i++) {
      pushReply(state, reply[i]!);
      lua.lua_rawseti(state, -2, i + 1);
    }
  }
}

function pushField(state: State, name: Uint8Array, text: Bytes): void {
  lua.lua_createtable(state, 0, 1);
  pushBytes(state, text);
  lua.lua_setfield(state, -2, name);
}

/** What a script returns, as a reply: true is 1, false nothing, a list ends at its first nil. */
function replyAt(state: State, index: number): Reply {
  switch (lua.lua_type(state, index)) {
    case lua.LUA_TSTRING:
      return bytesAt(state, index);
    case lua.LUA_TNUMBER:
      return lua.lua_tonumber(state, index);
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(state, index) ? 1 : null;
    case lua.LUA_TTABLE:
      return tableAt(state, index);
    default:
      return null;
  }
}

function tableAt(state: State, index: number): Reply {
  if (lua.lua_gettop(state) > DEEPEST) throw new ErrorReply('ERR reached lua stack limit');
  lua.lua_checkstack(state, SLOTS_FOR_ITEM);
  const error = fieldAt(state, index, ERR);
  if (error !== undefined) return new ErrorReply(error);
  const status = fieldAt(state, index, OK);
  if (status !== undefined) return new StatusReply(status.replaceAll(/[\r\n]/g, ' '));
  const items: Reply[] = [];
  const top = lua.lua_gettop(state);
  while (lua.lua_rawgeti(state, index, items.length + 1) !== lua.LUA_TNIL) {
    items.push(replyAt(state, top + 1));
    lua.lua_settop(state, top);
  }
  lua.lua_settop(state, top);
  return items;
}

/** A list in a list in a list: a table that holds itself must end somewhere. */
const DEEPEST = 1000;
const SLOTS_FOR_ITEM = 3;

function fieldAt(state: State, index: number, name: Uint8Array): Bytes | undefined {
  const isText = lua.lua_getfield(state, index, name) === lua.LUA_TSTRING;
  const value = isText ? bytesAt(state, -1) : undefined;
  lua.lua_pop(state, 1);
  return value;
}

/** An error that is no error of a command has no code. */
function errorTextAt(state: State, index: number): string {
  const type = lua.lua_type(state, index);
  const text = type === lua.LUA_TTABLE ? fieldAt(state, index, ERR) : undefined;
  if (text !== undefined) return text;
  return type === lua.LUA_TSTRING || type === lua.LUA_TNUMBER ? `ERR ${bytesAt(state, index)}` : 'ERR nil';
}

/** Makes an error of JavaScript, such as a string that is too long, one of the script. */
function nativeError(state: State): number {
  const error = lua.lua_touserdata(state, 1);
  pushBytes(state, error instanceof Error ? error.message : String(error));
  return 1;
}
