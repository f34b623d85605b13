import { ErrorReply } from '../resp';
import { atLeast, type Bytes, type Commands, exactly, inRange, parseBigInteger } from './command';
import { Hash, type Keyspace } from './keyspace';

/** The commands on hashes. */
export const HASH_COMMANDS: Commands = {
  hset: atLeast(3, (db, [key, ...pairs]) => {
    if (pairs.length % 2 === 1) throw new ErrorReply("ERR wrong number of arguments for 'hset' command");
    const hash = hashToWrite(db, key!);
    const before = hash.size;
    for (let i = 0; i < pairs.length; i += 2) hash.set(pairs[i]!, pairs[i + 1]!);
    return hash.size - before;
  }),
  hsetnx: exactly(3, (db, [key, field, value]) => {
    const hash = hashToWrite(db, key!);
    if (hash.has(field!)) return 0;
    hash.set(field!, value!);
    return 1;
  }),
  hget: exactly(2, (db, [key, field]) => db.hash(key!)?.get(field!) ?? null),
  hmget: atLeast(2, (db, [key, ...fields]) => {
    const hash = db.hash(key!);
    return fields.map((field) => hash?.get(field) ?? null);
  }),
  hgetall: exactly(1, (db, [key]) => [...(db.hash(key!) ?? [])].flat()),
  hdel: atLeast(2, (db, [key, ...fields]) => {
    const hash = db.hash(key!);
    if (!hash) return 0;
    const removed = fields.filter((field) => hash.delete(field)).length;
    db.deleteIfEmpty(key!, hash);
    return removed;
  }),
  hlen: exactly(1, (db, [key]) => db.hash(key!)?.size ?? 0),
  hexists: exactly(2, (db, [key, field]) => (db.hash(key!)?.has(field!) ? 1 : 0)),
  hincrby: exactly(3, (db, [key, field, by]) => {
    const change = parseBigInteger(by!);
    const value = db.hash(key!)?.get(field!) ?? '0';
    const sum = inRange(integerOf(value) + change, 'ERR increment or decrement would overflow');
    hashToWrite(db, key!).set(field!, String(sum));
    return sum;
  }),
};

function hashToWrite(db: Keyspace, key: Bytes): Hash {
  const known = db.hash(key);
  if (known) return known;
  const hash = new Hash();
  db.write(key, hash);
  return hash;
}

function integerOf(value: Bytes): bigint {
  try {
    return parseBigInteger(value);
  } catch {
    throw new ErrorReply('ERR hash value is not an integer');
  }
}
