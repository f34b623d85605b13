import { beforeEach, describe, expect, it } from '@jest/globals';
import { normal, seededRandom } from '../../../bin/simulate/random';
import { resolvePipeline } from '../../../lib/policy/pipeline/pipeline-defaults';
import { lengthOfHistory, readHistory, writeHistory } from '../../../lambda/data-pipeline/monitors/history';
import { measure, watch } from '../../../lambda/data-pipeline/monitors/watch';
import type { Pointer } from '../../../lambda/data-pipeline/storage';
import { MemoryStore } from './memory-store';

const { monitors } = resolvePipeline({ name: 'shop', stages: [{ name: 'check', work: { check: {} } }] });

/** Published versions of a pipeline, of which only the number of records is known. */
class Publications {
  public readonly pointers: Pointer[] = [];
  private readonly store = new MemoryStore();

  public flip(version: string, reason: Pointer['reason']): void {
    this.pointers.push({ sequence: this.pointers.length + 1, version, reason });
  }

  /** Audits and publishes a version; gives the alarms. */
  public async publish(
    version: string,
    records: number,
    { parents = [] as string[], asOf = undefined as string | undefined } = {},
  ): Promise<string[]> {
    const profile = { records, given: {}, fields: {} };
    const measurements = measure(profile, { read: records, faulty: 0 });
    const time = asOf !== undefined && { asOf };
    const { before, place } = await readHistory(this.store, monitors.history, {
      ...{ version, parents, pointers: this.pointers },
      ...time,
    });
    const findings = watch(profile, measurements, monitors, { history: before });
    this.flip(version, 'publish');
    const of = {
      version,
      sequence: this.pointers.length,
      measurements,
      ...time,
      ...(place !== undefined && { place }),
    };
    await writeHistory(this.store, of, profile);
    return findings.filter(({ isAlarm }) => isAlarm).map(({ monitor, detail }) => `${version}: ${monitor} ${detail}`);
  }

  public length(): Promise<number> {
    return lengthOfHistory(this.store, 1000);
  }
}

/** The time that a run of a day is for. */
const timeOf = (day: number, hour = 2) => new Date(Date.UTC(2026, 0, 1 + day, hour)).toISOString();

describe('the history of a pipeline', () => {
  let publications: Publications;
  beforeEach(() => {
    publications = new Publications();
  });

  /** Ninety days of five large and two small ones, where something happens on the 40th besides. */
  async function quarter(happens: (version: string, records: number) => Promise<string[]>, hasTime: boolean) {
    const random = seededRandom(7, 1);
    const alarms: string[] = [];
    for (let day = 0; day < 90; day++) {
      const records = Math.round(10_000 * (day % 7 < 5 ? 1 : 0.4) * Math.exp(0.03 * normal(random)));
      const asOf = hasTime ? timeOf(day) : undefined;
      alarms.push(...(await publications.publish(`d${day}`, records, { asOf })));
      if (day === 40) alarms.push(...(await happens(`d${day}`, records)));
    }
    return alarms;
  }

  it.each<[string, boolean, (version: string, records: number) => Promise<string[]>]>([
    ['a redrive', false, (base, records) => publications.publish('redriven', records + 20, { parents: [base] })],
    [
      'two redrives of one version',
      false,
      async (base, records) => [
        ...(await publications.publish('redriven', records + 20, { parents: [base] })),
        ...(await publications.publish('otherwise', records + 30, { parents: [base] })),
        ...(await publications.publish('again', records + 40, { parents: ['redriven'] })),
      ],
    ],
    [
      'a redrive on another day',
      true,
      (base, records) => publications.publish('redriven', records + 20, { parents: [base], asOf: timeOf(41, 1) }),
    ],
    [
      'a run after a roll-back',
      false,
      (_, records) => {
        publications.flip('d39', 'rollback');
        return publications.publish('mended', records + 20);
      },
    ],
    [
      'a run after a roll-back, some hours later',
      true,
      (_, records) => {
        publications.flip('d39', 'rollback');
        return publications.publish('mended', records + 20, { asOf: timeOf(40, 15) });
      },
    ],
    [
      'a run for the same time',
      true,
      (_, records) => publications.publish('complete', records + 20, { asOf: timeOf(40) }),
    ],
    [
      'a version that is published again after its roll-back',
      false,
      (version, records) => {
        publications.flip('d39', 'rollback');
        return publications.publish(version, records);
      },
    ],
  ])('raises no alarm over ninety days for %s, and keeps one entry a day', async (_, hasTime, happens) => {
    expect(await quarter(happens, hasTime)).toEqual([]);
    expect(await publications.length()).toBe(90);
  });

  it('counts the next day as one more after a roll-back, where runs say what they are for', async () => {
    expect(
      await quarter(() => {
        publications.flip('d39', 'rollback');
        return Promise.resolve([]);
      }, true),
    ).toEqual([]);
    expect(await publications.length()).toBe(90);
  });

  it('alarms the day that is half, of a redrive as well', async () => {
    const alarms = await quarter(
      (base, records) => publications.publish('redriven', records / 2, { parents: [base] }),
      false,
    );
    expect(alarms.map((alarm) => alarm.split(' ')[1])).toEqual(['volume']);
    expect(alarms[0]).toMatch(/^redriven/);
  });
});
