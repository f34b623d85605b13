import { ErrorReply, type Reply } from '../resp';
import { formatGeneral } from './c-format';
import {
  atLeast,
  type Bytes,
  type Commands,
  exactly,
  parseFloating,
  parseInteger,
  parseRounded,
  SYNTAX_ERROR,
} from './command';
import { type Keyspace, SortedSet } from './keyspace';

const NO_FLOAT = 'ERR value is not a valid float';
const NO_BOUND = 'ERR min or max is not a float';

/** The commands on sorted sets. */
export const SORTED_SET_COMMANDS: Commands = {
  zadd: atLeast(3, zadd),
  zrem: atLeast(2, (db, [key, ...members]) => removed(db, key!, () => members)),
  zcard: exactly(1, (db, [key]) => db.sortedSet(key!)?.size ?? 0),
  zscore: exactly(2, (db, [key, member]) => {
    const score = db.sortedSet(key!)?.get(member!);
    return score === undefined ? null : scoreText(score);
  }),
  zcount: exactly(3, (db, [key, least, most]) => {
    const isWithin = scoreRange(least!, most!);
    return [...(db.sortedSet(key!)?.values() ?? [])].filter(isWithin).length;
  }),
  zrange: atLeast(3, zrange),
  zrangebyscore: atLeast(3, (db, [key, least, most, ...options]) =>
    zrange(db, [key!, least!, most!, ...options.map(onlyOfScores), 'byscore']),
  ),
  zremrangebyscore: exactly(3, (db, [key, least, most]) => {
    const isWithin = scoreRange(least!, most!);
    return removed(db, key!, (set) => [...set].filter(([, score]) => isWithin(score)).map(([member]) => member));
  }),
};

function zadd(db: Keyspace, [key, ...rest]: readonly Bytes[]): Reply {
  const firstScore = rest.findIndex((arg) => !/^(nx|xx|gt|lt|ch|incr)$/i.test(arg));
  const flags = new Set(rest.slice(0, firstScore < 0 ? rest.length : firstScore).map((flag) => flag.toLowerCase()));
  const pairs = rest.slice(flags.size > 0 ? (firstScore < 0 ? rest.length : firstScore) : 0);
  const [nx, xx, gt, lt, ch, incr] = ['nx', 'xx', 'gt', 'lt', 'ch', 'incr'].map((flag) => flags.has(flag));
  if (pairs.length === 0 || pairs.length % 2 === 1) throw new ErrorReply(SYNTAX_ERROR);
  if (nx && xx) throw new ErrorReply('ERR XX and NX options at the same time are not compatible');
  if ((gt && nx) || (lt && nx) || (gt && lt)) {
    throw new ErrorReply('ERR GT, LT, and/or NX options at the same time are not compatible');
  }
  if (incr && pairs.length > 2) {
    throw new ErrorReply('ERR INCR option supports a single increment-element pair');
  }
  // All of them before any is stored.
  const scores = pairs.filter((_, i) => i % 2 === 0).map((text) => parseFloating(text, NO_FLOAT));
  const set = db.sortedSet(key!) ?? new SortedSet();
  let [added, changed] = [0, 0];
  let result: number | undefined;
  for (const [i, given] of scores.entries()) {
    const member = pairs[2 * i + 1]!;
    const known = set.get(member);
    const score = incr && known !== undefined ? known + given : given;
    if (Number.isNaN(score)) throw new ErrorReply('ERR resulting score is not a number (NaN)');
    if (known === undefined ? xx : nx || (gt && score <= known) || (lt && score >= known)) continue;
    set.set(member, score);
    result = score;
    if (known === undefined) added += 1;
    else if (known !== score) changed += 1;
  }
  if (set.size > 0) db.write(key!, set);
  if (incr) return result === undefined ? null : scoreText(result);
  return ch ? added + changed : added;
}

function removed(db: Keyspace, key: Bytes, membersOf: (set: SortedSet) => readonly Bytes[]): number {
  const set = db.sortedSet(key);
  if (!set) return 0;
  const count = membersOf(set).filter((member) => set.delete(member)).length;
  db.deleteIfEmpty(key, set);
  return count;
}

function zrange(db: Keyspace, [key, first, last, ...rest]: readonly Bytes[]): Reply {
  const options = rangeOptions(rest);
  const { isByScore, isReversed, limit } = options;
  if (limit && !isByScore) {
    throw new ErrorReply('ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX');
  }
  const select = isByScore
    ? inScores(isReversed ? scoreRange(last!, first!) : scoreRange(first!, last!), limit)
    : atRanks(parseInteger(first!), parseInteger(last!));
  const members = [...(db.sortedSet(key!) ?? [])].sort(byScoreAndName);
  const found = select(isReversed ? members.reverse() : members);
  return found.flatMap(([member, score]) => (options.withScores ? [member, scoreText(score)] : [member]));
}

type Member = readonly [Bytes, number];

function inScores(isWithin: (score: number) => boolean, limit: Limit | undefined) {
  return (members: readonly Member[]): readonly Member[] => {
    const found = members.filter(([, score]) => isWithin(score));
    if (!limit) return found;
    if (limit.offset < 0) return [];
    return found.slice(limit.offset, limit.count < 0 ? undefined : limit.offset + limit.count);
  };
}

function atRanks(first: number, last: number) {
  return (members: readonly Member[]): readonly Member[] => {
    const at = (rank: number) => (rank < 0 ? members.length + rank : rank);
    return members.slice(Math.max(0, at(first)), Math.max(0, at(last) + 1));
  };
}

function byScoreAndName([name, score]: Member, [otherName, otherScore]: Member): number {
  if (score !== otherScore) return score < otherScore ? -1 : 1;
  return name < otherName ? -1 : 1;
}

/** ZRANGE took the place of many commands, and has options that this one never had. */
function onlyOfScores(option: Bytes): Bytes {
  if (/^(byscore|rev)$/i.test(option)) throw new ErrorReply(SYNTAX_ERROR);
  return option;
}

interface Limit {
  readonly offset: number;
  readonly count: number;
}

function rangeOptions(rest: readonly Bytes[]) {
  const options = { isByScore: false, isReversed: false, withScores: false, limit: undefined as Limit | undefined };
  for (let i = 0; i < rest.length; i++) {
    const option = rest[i]!.toLowerCase();
    if (option === 'byscore' && !options.isByScore) options.isByScore = true;
    else if (option === 'rev' && !options.isReversed) options.isReversed = true;
    else if (option === 'withscores') options.withScores = true;
    else if (option === 'limit' && i + 2 < rest.length) {
      options.limit = { offset: parseInteger(rest[++i]!), count: parseInteger(rest[++i]!) };
    } else throw new ErrorReply(SYNTAX_ERROR);
  }
  return options;
}

/** From one bound to the other; a bound after `(` is not part of it. */
function scoreRange(least: Bytes, most: Bytes): (score: number) => boolean {
  // Here only, nothing is 0 and blanks may precede a number.
  const bound = (text: Bytes) => parseRounded(text.replace(/^\(?[ \t-\r]*/, '') || '0', NO_BOUND);
  const [low, high] = [bound(least), bound(most)];
  return (score) =>
    (least.startsWith('(') ? score > low : score >= low) && (most.startsWith('(') ? score < high : score <= high);
}

function scoreText(score: number): Bytes {
  return formatGeneral(score, 17);
}
