import { formatGeneral } from './c-format';
import { lobject, lstring, type Slot } from './fengari';
import { fromLuaBytes, luaBytes } from './lua-strings';

/**
 * Gives fengari the numbers of Redis's Lua 5.1, in which all are floats of 64 bits: it is a Lua 5.3, whose integers have
 * 32 bits here and wrap around, and it writes 3.0 where 5.1 writes 3. Whatever a text spells, in a script or in a value,
 * becomes a float; what is left of integers are lengths and places.
 */
export function useFloatsOnly(): void {
  if (isDone) return;
  isDone = true;
  const read = lobject.luaO_str2num;
  lobject.luaO_str2num = (text, slot) => {
    const length = read(text, slot);
    if (length > 0 && slot.ttisinteger()) slot.setfltvalue(wholeNumber(fromLuaBytes(text)));
    return length;
  };
  lobject.luaO_tostring = (state, slot: Slot) => {
    slot.setsvalue(lstring.luaS_bless(state, luaBytes(formatGeneral(slot.value as number, 14))));
  };
}

let isDone = false;

/** fengari cuts hexadecimal digits to 32 bits. */
function wholeNumber(text: string): number {
  const [, sign, digits] = /^\s*([+-]?)(\w+)/.exec(text)!;
  return sign === '-' ? -Number(digits) : Number(digits);
}
