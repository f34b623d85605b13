/**
 * The parts of fengari in the order in which they load: they import each other in circles, and begun elsewhere some find
 * others half made.
 */
import lua, { type LuaFunction, type State } from 'fengari/src/lua.js';
import lauxlib from 'fengari/src/lauxlib.js';
import lbaselib from 'fengari/src/lbaselib.js';
import lmathlib from 'fengari/src/lmathlib.js';
import lobject, { type Slot } from 'fengari/src/lobject.js';
import lstring from 'fengari/src/lstring.js';
import lstrlib from 'fengari/src/lstrlib.js';
import ltablib from 'fengari/src/ltablib.js';

export { lauxlib, lbaselib, lmathlib, lobject, lstring, lstrlib, ltablib, lua };
export type { LuaFunction, Slot, State };
