import { ErrorReply, StatusReply } from '../resp';
import {
  asCString,
  atLeast,
  type Bytes,
  type Command,
  type Commands,
  exactly,
  parseInteger,
  SYNTAX_ERROR,
} from './command';
import { matchesGlob } from './glob';
import { Hash, type Keyspace, type Value } from './keyspace';

const OK = new StatusReply('OK');

/** The commands on keys of any type, and on all of them. */
export const KEY_COMMANDS: Commands = {
  del: atLeast(1, (db, keys) => deleted(db, keys)),
  unlink: atLeast(1, (db, keys) => deleted(db, keys)),
  exists: atLeast(1, (db, keys) => keys.filter((key) => db.read(key) !== undefined).length),
  type: exactly(1, (db, [key]) => new StatusReply(typeOf(db.read(key!)))),
  expire: expireCommand('expire', 1000),
  pexpire: expireCommand('pexpire', 1),
  persist: exactly(1, (db, [key]) => {
    if (db.read(key!) === undefined || db.deadline(key!) === undefined) return 0;
    db.setDeadline(key!, undefined);
    return 1;
  }),
  ttl: exactly(1, (db, [key]) => timeLeft(db, key!, 1000)),
  pttl: exactly(1, (db, [key]) => timeLeft(db, key!, 1)),
  keys: exactly(1, (db, [pattern]) => db.keys().filter((key) => matchesGlob(pattern!, key))),
  dbsize: exactly(0, (db) => db.keys().length),
  flushall: flushCommand(),
  flushdb: flushCommand(),
  time: exactly(0, ({ now }) => [String(Math.floor(now / 1000)), String(Math.floor((now % 1000) * 1000))]),
  ping: { least: 0, most: 1, run: (_, [message]) => message ?? new StatusReply('PONG') },
  echo: exactly(1, (_, [message]) => message!),
};

function deleted(db: Keyspace, keys: readonly Bytes[]): number {
  return keys.filter((key) => db.read(key) !== undefined && db.delete(key)).length;
}

function typeOf(value: Value | undefined): string {
  if (value === undefined) return 'none';
  if (typeof value === 'string') return 'string';
  return value instanceof Hash ? 'hash' : 'zset';
}

/** -2 for a key that is not there, -1 for one that does not end. */
function timeLeft(db: Keyspace, key: Bytes, unitMs: number): number {
  if (db.read(key) === undefined) return -2;
  const deadline = db.deadline(key);
  return deadline === undefined ? -1 : Math.floor((deadline - Math.floor(db.now) + unitMs / 2) / unitMs);
}

/** A deadline from an argument of a command. @throws ErrorReply where it does not fit 64 bits */
export function deadlineIn(db: Keyspace, text: Bytes, unitMs: number, command: string): number {
  const deadline = parseInteger(text) * unitMs + Math.floor(db.now);
  if (Math.abs(deadline) < 2 ** 63) return deadline;
  throw new ErrorReply(`ERR invalid expire time in '${command}' command`);
}

function expireCommand(name: string, unitMs: number): Command {
  return atLeast(2, (db, [key, time, ...options]) => {
    const conditions = new Set(options.map((option) => option.toLowerCase()));
    const unknown = options.find((option) => !/^(nx|xx|gt|lt)$/i.test(option));
    if (unknown !== undefined) throw new ErrorReply(`ERR Unsupported option ${asCString(unknown)}`);
    const [nx, xx, gt, lt] = ['nx', 'xx', 'gt', 'lt'].map((option) => conditions.has(option));
    if (nx && (xx || gt || lt)) {
      throw new ErrorReply('ERR NX and XX, GT or LT options at the same time are not compatible');
    }
    if (gt && lt) throw new ErrorReply('ERR GT and LT options at the same time are not compatible');
    const deadline = deadlineIn(db, time!, unitMs, name);
    if (db.read(key!) === undefined) return 0;
    const known = db.deadline(key!);
    if (nx ? known !== undefined : xx && known === undefined) return 0;
    if ((gt && deadline <= (known ?? Infinity)) || (lt && deadline >= (known ?? Infinity))) return 0;
    db.setDeadline(key!, deadline);
    return 1;
  });
}

function flushCommand(): Command {
  return atLeast(0, (db, options) => {
    if (options.length > 1 || (options.length === 1 && !/^(a?sync)$/i.test(options[0]!))) {
      throw new ErrorReply(SYNTAX_ERROR);
    }
    db.clear();
    return OK;
  });
}
