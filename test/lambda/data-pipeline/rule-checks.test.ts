import { describe, expect, it } from '@jest/globals';
import type { StageRule } from '../../../lib';
import { resolvePipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { mergeProfiles, ProfileBuilder } from '../../../lambda/data-pipeline/monitors/profile';
import { compileRules } from '../../../lambda/data-pipeline/running/rule-checks';

const ASKED_AT = Date.parse('2026-11-24T12:00:00Z');

const compiled = (rule: Omit<StageRule, 'name'>) =>
  compileRules([{ name: 'rule', ...rule }], { asOf: ASKED_AT, references: new Map() });

describe('rules', () => {
  it.each([
    ['2026-11-24T11:59:59.5Z', undefined],
    ['2026-11-24T13:00:00+01:00', undefined],
    ['2026-11-24T10:00:00Z', "at lies more than 3600 s before the run's time"],
    ['2026-11-24 12:00:00', 'at is no date-time'],
    ['2026-11-24T12:00:00', 'at is no date-time'],
    ['1', 'at is no date-time'],
    [ASKED_AT, 'at is no date-time'],
  ])('judge the time %s alike in every zone', (at, fault) => {
    const [rule] = compiled({ time: { field: 'at', mostAgeSeconds: 3600, mostAheadSeconds: 0 } }).records;
    expect(rule!.check({ at })).toBe(fault);
  });

  it('find no field that the record does not have, also of a name that every object knows', () => {
    const [required] = compiled({ required: ['constructor'] }).records;
    expect(required!.check({ id: 1 })).toBe('constructor is missing, null or blank');
    expect(required!.check({ constructor: 'Vauban' })).toBeUndefined();
    const [range] = compiled({ range: { field: 'toString', min: 1 } }).records;
    expect(range!.check({ id: 1 })).toBeUndefined();
    const [unique] = compiled({ unique: ['constructor'] }).unique;
    expect(unique!.keyOf({ id: 1 })).toBeUndefined();
    expect(unique!.keyOf({ constructor: 1 })).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('a profile', () => {
  it('counts no field that the record does not have, also of a name that every object knows', () => {
    const pipeline = resolvePipeline({
      name: 'x',
      stages: [
        { name: 'x', work: { check: {} }, input: { type: 'object', properties: { constructor: { type: 'string' } } } },
      ],
      monitors: { fields: ['constructor'] },
    });
    const profileOf = (record: Record<string, unknown>) => {
      const builder = new ProfileBuilder(pipeline);
      builder.add(record, undefined);
      return builder.build();
    };
    const merged = [profileOf({}), profileOf({ constructor: 'Vauban' })].reduce(mergeProfiles, {
      records: 0,
      given: {},
      fields: {},
    });
    expect(merged).toMatchObject({ records: 2, given: { constructor: 1 }, fields: { constructor: { count: 1 } } });
  });
});

describe('the history that is looked back on', () => {
  it('is as long by default as the season needs', () => {
    const check = { name: 'x', work: { check: {} } };
    const historyOf = (season: number) =>
      resolvePipeline({ name: 'x', stages: [check], monitors: { season } }).monitors.history;
    expect([7, 53, 54, 366].map(historyOf)).toEqual([56, 56, 57, 369]);
  });
});
