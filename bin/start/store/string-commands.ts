import { ErrorReply, StatusReply } from '../resp';
import {
  atLeast,
  type Bytes,
  type Commands,
  exactly,
  inRange,
  parseBigInteger,
  parseInteger,
  SYNTAX_ERROR,
} from './command';
import { deadlineIn } from './key-commands';
import type { Keyspace } from './keyspace';

/** The commands on strings. */
export const STRING_COMMANDS: Commands = {
  get: exactly(1, (db, [key]) => db.string(key!) ?? null),
  mget: atLeast(1, (db, keys) =>
    keys.map((key) => {
      const value = db.read(key);
      return typeof value === 'string' ? value : null;
    }),
  ),
  set: atLeast(2, set),
  strlen: exactly(1, (db, [key]) => db.string(key!)?.length ?? 0),
  getrange: exactly(3, (db, [key, first, last]) => {
    const [from, to] = [parseInteger(first!), parseInteger(last!)];
    const value = db.string(key!) ?? '';
    if (from < 0 && to < 0 && from > to) return '';
    const at = (index: number) => Math.max(0, index < 0 ? value.length + index : index);
    return value.slice(at(from), at(to) + 1);
  }),
  incr: exactly(1, (db, [key]) => add(db, key!, 1n)),
  incrby: exactly(2, (db, [key, by]) => add(db, key!, parseBigInteger(by!))),
};

interface SetOptions {
  condition?: 'nx' | 'xx';
  keepsDeadline?: boolean;
  returnsOld?: boolean;
  deadline?: number;
}

function set(db: Keyspace, [key, value, ...rest]: readonly Bytes[]) {
  const options = setOptions(db, rest);
  const old = options.returnsOld ? (db.string(key!) ?? null) : null;
  const exists = db.read(key!) !== undefined;
  if (options.condition !== undefined && exists !== (options.condition === 'xx')) return old;
  db.write(key!, value!);
  if (!options.keepsDeadline) db.setDeadline(key!, options.deadline);
  return options.returnsOld ? old : new StatusReply('OK');
}

function setOptions(db: Keyspace, rest: readonly Bytes[]): SetOptions {
  const options: SetOptions = {};
  let life: { readonly unitMs: number; readonly text: Bytes } | undefined;
  for (let i = 0; i < rest.length; i++) {
    const option = rest[i]!.toLowerCase();
    const hasLife = life !== undefined || options.keepsDeadline;
    if ((option === 'nx' || option === 'xx') && (options.condition ?? option) === option) {
      options.condition = option;
    } else if (option === 'get') {
      options.returnsOld = true;
    } else if (option === 'keepttl' && life === undefined) {
      options.keepsDeadline = true;
    } else if ((option === 'ex' || option === 'px') && !hasLife && i + 1 < rest.length) {
      life = { unitMs: option === 'ex' ? 1000 : 1, text: rest[++i]! };
    } else {
      throw new ErrorReply(SYNTAX_ERROR);
    }
  }
  if (life) {
    if (parseInteger(life.text) <= 0) throw new ErrorReply("ERR invalid expire time in 'set' command");
    options.deadline = deadlineIn(db, life.text, life.unitMs, 'set');
  }
  return options;
}

function add(db: Keyspace, key: Bytes, by: bigint): bigint {
  const sum = inRange(parseBigInteger(db.string(key) ?? '0') + by, 'ERR increment or decrement would overflow');
  db.write(key, String(sum));
  return sum;
}
