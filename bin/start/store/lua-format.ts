import { formatExponential, formatFixed, formatGeneral } from './c-format';
import { lauxlib, lua, type State } from './fengari';
import { bytesAt, fromLuaBytes, luaBytes, pushBytes } from './lua-strings';

/** A conversion, such as `%-5.2f`: flags, width, precision, letter. */
const CONVERSION = /%([-+ #0]*)(\d*)(?:\.(\d*))?(.?)/gs;

const MOST_WIDTH = 99;

/**
 * Lua 5.1's `string.format`, with C's digits. fengari's own rounds halves up, lays exponents out as JavaScript does,
 * knows no precision by default and refuses whole numbers of more than 32 bits.
 */
export function stringFormat(state: State): number {
  const format = fromLuaBytes(lauxlib.luaL_checkstring(state, 1));
  let argument = 1;
  const text = format.replaceAll(
    CONVERSION,
    (found, flags: string, width: string, precision: string | undefined, letter: string) => {
      if (found === '%%') return '%';
      if (Number(width) > MOST_WIDTH || Number(precision ?? 0) > MOST_WIDTH) {
        fail(state, 1, 'invalid format (width or precision too long)');
      }
      argument += 1;
      const digits = precision === undefined ? undefined : Number(precision);
      return padded(converted(state, argument, letter, digits, flags), flags, Number(width), letter, digits);
    },
  );
  pushBytes(state, text);
  return 1;
}

function converted(state: State, argument: number, letter: string, digits: number | undefined, flags: string): string {
  switch (letter) {
    case 'd':
    case 'i':
      return signed(wholeText(state, argument, 10, digits), flags);
    case 'u':
      return wholeText(state, argument, 10, digits);
    case 'x':
      return wholeText(state, argument, 16, digits);
    case 'X':
      return wholeText(state, argument, 16, digits).toUpperCase();
    case 'o':
      return wholeText(state, argument, 8, digits);
    case 'e':
    case 'E':
    case 'f':
    case 'g':
    case 'G': {
      const write = { e: formatExponential, f: formatFixed, g: formatGeneral }[letter.toLowerCase() as 'e' | 'f' | 'g'];
      const text = signed(write(lauxlib.luaL_checknumber(state, argument), digits ?? 6), flags);
      return /[EG]/.test(letter) ? text.toUpperCase() : text;
    }
    case 'c':
      return String.fromCharCode(lauxlib.luaL_checknumber(state, argument) & 0xff);
    case 's':
      return shown(state, argument).slice(0, digits);
    case 'q':
      return quoted(fromLuaBytes(lauxlib.luaL_checkstring(state, argument)));
    default:
      return fail(state, 1, `invalid option '%${letter}' to 'format'`);
  }
}

/** A number cut to a whole one of 64 bits; unsigned in any base but ten. */
function wholeText(state: State, argument: number, base: number, digits: number | undefined): string {
  const value = lauxlib.luaL_checknumber(state, argument);
  const fits = Math.abs(value) < 2 ** 63;
  const whole = fits ? BigInt(Math.trunc(value)) : -(2n ** 63n);
  const magnitude = base === 10 ? (whole < 0n ? -whole : whole) : BigInt.asUintN(64, whole);
  const text = digits === 0 && whole === 0n ? '' : magnitude.toString(base).padStart(digits ?? 1, '0');
  return base === 10 && whole < 0n ? `-${text}` : text;
}

function signed(text: string, flags: string): string {
  if (text.startsWith('-')) return text;
  return flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text;
}

function padded(text: string, flags: string, width: number, letter: string, digits: number | undefined): string {
  if (text.length >= width) return text;
  if (flags.includes('-')) return text.padEnd(width);
  const hasZeros = flags.includes('0') && /[diuxXoeEfgG]/.test(letter) && /\d/.test(text);
  if (!hasZeros || (digits !== undefined && /[diuxXo]/.test(letter))) return text.padStart(width);
  const sign = /^[-+ ]/.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}

function shown(state: State, argument: number): string {
  if (argument > lua.lua_gettop(state)) return fail(state, argument, 'no value');
  if (lua.lua_type(state, argument) === lua.LUA_TNUMBER) return bytesAt(state, argument);
  const text = fromLuaBytes(lauxlib.luaL_tolstring(state, argument));
  lua.lua_pop(state, 1);
  return text;
}

/** Text as Lua reads it. */
function quoted(text: string): string {
  const escaped = text.replaceAll(/["\\\n\r\0]/g, (character) =>
    character === '\r' ? '\\r' : character === '\0' ? '\\000' : `\\${character}`,
  );
  return `"${escaped}"`;
}

function fail(state: State, argument: number, message: string): never {
  return lauxlib.luaL_argerror(state, argument, luaBytes(message));
}
