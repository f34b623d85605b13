import type { Feature } from '../../lib/policy/features/definition';
import type { FeatureValue } from '../data-pipeline/features/history';
import {
  keptUntilMs,
  type OnlineRow,
  type OnlineStore,
  type OnlineValue,
} from '../data-pipeline/features/online-store';
import type { Command } from '../store/connection';
import { script } from '../store/scripts';
import type { Trip } from '../store/valkey-store';
import keepNewest from './keep-newest.lua';

const KEEP_NEWEST = script('', keepNewest);

/** Digits of a time, so that times compare as text. */
const TIME_DIGITS = 15;

/** The online store in Valkey: a hash for each entity, a field for each feature. */
export class ValkeyOnlineStore implements OnlineStore {
  /**
   * @param trip sends commands
   * @param name name of the feature store, which may share Valkey with others
   * @param now milliseconds since 1970
   */
  public constructor(
    private readonly trip: Trip,
    private readonly name: string,
    private readonly now: () => number,
  ) {}

  /** {@inheritDoc OnlineStore.read} */
  public async read(entity: string, keys: readonly string[], features: readonly string[]): Promise<OnlineRow[]> {
    const commands = keys.map((key): Command => ({ read: 'hmget', key: this.keyOf(entity, key), fields: features }));
    const replies = (await this.trip(commands)) as (string | null)[][];
    return replies.map((fields) => {
      const entries = features.flatMap((name, i): [string, OnlineValue][] => {
        const kept = fields[i];
        return kept == null ? [] : [[name, unpacked(kept)]];
      });
      return Object.fromEntries(entries);
    });
  }

  /** {@inheritDoc OnlineStore.write} */
  public async write(entity: string, key: string, row: OnlineRow, features: readonly Feature[]): Promise<void> {
    const lifeMs = keptUntilMs(row, features) - this.now();
    if (lifeMs <= 0) return;
    const values = Object.entries(row).flatMap(([name, value]) => {
      const order = orderOf(value);
      const packed = [order, value.sourceVersion, JSON.stringify(value.value)].join('|');
      return [name, order, value.sourceVersion, packed];
    });
    await this.trip([{ script: KEEP_NEWEST, keys: [this.keyOf(entity, key)], args: [String(lifeMs), ...values] }]);
  }

  /** {@inheritDoc OnlineStore.remove} */
  public async remove(entity: string, key: string): Promise<void> {
    await this.trip([{ call: 'DEL', args: [this.keyOf(entity, key)] }]);
  }

  private keyOf(entity: string, key: string): string {
    return `features:{${this.name}}:${entity}:${key}`;
  }
}

function orderOf({ eventMs, ingestId }: OnlineValue): string {
  return `${String(eventMs).padStart(TIME_DIGITS, '0')}|${ingestId}`;
}

/** Neither an id of arrival nor a version of a source holds the separator; a text may. */
function unpacked(kept: string): OnlineValue {
  const [eventMs = '', ingestId = '', sourceVersion = '', ...json] = kept.split('|');
  return { eventMs: Number(eventMs), ingestId, sourceVersion, value: JSON.parse(json.join('|')) as FeatureValue };
}
