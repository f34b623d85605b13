import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type FeatureDefinition, LateArrivals, type TrainingSet } from '../../../../lib';
import { KEY_COLUMNS } from '../../../../lib/policy/features/columns';
import { dayOf, SQL_TYPES, trainingSetSql } from '../../../../lib/policy/features/training-sql';
import { joinAsOf, type Label } from '../../../../lambda/data-pipeline/features/as-of-join';
import type { HistoryRow } from '../../../../lambda/data-pipeline/features/history';
import { FEATURES, history, labels } from './random-history';

const DEFINITION: FeatureDefinition = { name: 'shop', features: FEATURES };
const SET: TrainingSet = {
  entity: 'customer',
  labelDatabase: 'labels',
  labelTable: 'churn "2026"',
  keyColumn: 'who',
  timeColumn: 'at_ms',
};

interface Case {
  readonly rows: readonly HistoryRow[];
  readonly wanted: readonly Label[];
  readonly set: TrainingSet;
}

/** The rows that sqlite makes of each case. */
function onSqlite(cases: readonly Case[]): Record<string, unknown>[][] {
  const kinds = FEATURES.map(({ name, type }): [string, string] => [name, SQL_TYPES[type].sql]);
  const { key, event, ingested, id, source } = KEY_COLUMNS;
  const input = cases.map(({ rows, wanted, set }) => ({
    sql: trainingSetSql(DEFINITION, 'features', set),
    history: {
      table: set.entity,
      columns: [
        [key, 'TEXT'],
        [event, 'BIGINT'],
        [ingested, 'BIGINT'],
        [id, 'TEXT'],
        [source, 'TEXT'],
        ['day', 'TEXT'],
        ...kinds,
      ],
      rows: rows.map((row) => [
        ...[row.key, row.eventMs, row.ingestedMs, row.ingestId, row.sourceVersion, dayOf(row.eventMs)],
        ...FEATURES.map(({ name }) => row.values[name] ?? null),
      ]),
    },
    labels: {
      table: set.labelTable,
      columns: [
        ['label', 'BIGINT'],
        ['who', 'TEXT'],
        ['at_ms', 'BIGINT'],
      ],
      rows: wanted.map(({ key: who, atMs }, i) => [i, who, atMs]),
    },
  }));
  const { status, stdout, stderr } = spawnSync('python3', [path.join(__dirname, 'sqlite.py')], {
    input: JSON.stringify(input),
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>[][];
}

/** The same rows from the join that the functions use. sqlite knows truth as 1 and 0. */
function joined({ rows, wanted, set }: Case): Record<string, unknown>[] {
  const known = (value: unknown) => (typeof value === 'boolean' ? Number(value) : value);
  return joinAsOf(FEATURES, rows, wanted, set).map((reading, i) => ({
    ...{ label: i, who: wanted[i]!.key, at_ms: wanted[i]!.atMs },
    ...Object.fromEntries(
      Object.entries(reading).flatMap(([name, { value, status, ageMs }]) => [
        [name, known(value)],
        [`${name}__status`, status],
        [`${name}__age_ms`, ageMs ?? null],
      ]),
    ),
  }));
}

const byLabel = (rows: Record<string, unknown>[]) =>
  rows.toSorted((one, other) => Number(one.label) - Number(other.label));

const hasSqlite =
  spawnSync('python3', ['-c', 'import sqlite3; sqlite3.Connection.create_window_function']).status === 0;

if (!hasSqlite) process.stdout.write('training sets on sqlite skipped: python3 is older than 3.11\n');

(hasSqlite ? describe : describe.skip)('the query of a training set', () => {
  it('finds what the join finds, on random histories', () => {
    const set = fc.record(
      {
        lateArrivals: fc.constantFrom(...Object.values(LateArrivals)),
        readAtMs: fc.integer({ min: 1_000_000, max: 1_008_000 }),
      },
      { requiredKeys: [] },
    );
    const cases = fc
      .sample(fc.tuple(history, labels, set), { numRuns: 400, seed: 20_260_301 })
      .map(([rows, wanted, chosen]): Case => ({ rows, wanted, set: { ...SET, ...chosen } }));
    const found = onSqlite(cases);
    expect(found.flat().length).toBeGreaterThan(1000);
    cases.forEach((each, i) => expect(byLabel(found[i]!)).toEqual(joined(each)));
  });

  it('is the same while a compaction has rows in two files', () => {
    const cases = fc
      .sample(fc.tuple(history, labels, fc.array(fc.boolean(), { minLength: 25, maxLength: 25 })), {
        ...{ numRuns: 150, seed: 20_261_124 },
      })
      .map(([rows, wanted, twice]): Case => ({
        rows: [...rows, ...rows.filter((_, i) => twice[i])],
        ...{ wanted, set: SET },
      }));
    expect(cases.some(({ rows }) => new Set(rows).size < rows.length)).toBe(true);
    const found = onSqlite(cases);
    cases.forEach(({ rows, ...each }, i) =>
      expect(byLabel(found[i]!)).toEqual(joined({ ...each, rows: [...new Set(rows)] })),
    );
  });

  it('reads no partition that cannot matter, and all that can', () => {
    const day = 86_400_000;
    const rows = [10, 11, 14, 15].map((days, i): HistoryRow => ({
      ...{ key: 'a', eventMs: days * day, ingestedMs: days * day, ingestId: String(i), sourceVersion: 'v1' },
      values: { active: true },
    }));
    const wanted = [{ key: 'a', atMs: 11 * day + 1000 }];
    const set = { ...SET, firstDay: '1970-01-12', lastDay: '1970-01-12' };
    expect(trainingSetSql(DEFINITION, 'features', set)).toContain(`WHERE day >= '1970-01-11' AND day <= '1970-01-12'`);
    expect(onSqlite([{ rows, wanted, set }])[0]).toEqual(joined({ rows, wanted, set }));
  });
});

describe('what a training set names', () => {
  it.each([
    [{ entity: 'shop' }, 'entity must be one that has features in the definition, got "shop"'],
    [{ features: ['height'] }, 'features must be of the entity "customer", got "height"'],
    [{ features: [] }, 'features must name at least one, or be left out for all'],
    [{ firstDay: '1 March' }, 'firstDay must be a date such as "2026-03-01", got "1 March"'],
    [{ lastDay: '2026-13-01' }, 'lastDay must be a date such as "2026-03-01", got "2026-13-01"'],
    [{ readAtMs: 0.5 }, 'readAtMs must be whole milliseconds since 1970, got 0.5'],
  ])('must be there: %j', (change, message) => {
    expect(() => trainingSetSql(DEFINITION, 'features', { ...SET, ...change })).toThrow(message);
  });

  it('is quoted, so that no name and no default ends a text', () => {
    const sql = trainingSetSql(DEFINITION, 'features', SET);
    expect(sql).toContain('"labels"."churn ""2026"""');
    expect(sql).toContain("CAST('it''s none' AS VARCHAR)");
  });

  it('selects each wanted feature once', () => {
    const sql = trainingSetSql(DEFINITION, 'features', { ...SET, features: ['tier', 'tier'] });
    expect(sql.match(/AS "tier"/g)).toHaveLength(2);
    expect(sql).not.toContain('spend');
  });
});
