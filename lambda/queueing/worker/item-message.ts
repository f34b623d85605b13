import { isRecord } from '../../gateway/http-event';
import type { ItemMessage } from '../item';

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string' && value !== '';
const isCount =
  (least: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least;
const orAbsent =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

const FIELDS: Readonly<Record<keyof ItemMessage, Check>> = {
  v: (value) => value === 1,
  tenant: isText,
  plan: isText,
  batchId: isText,
  line: isCount(1),
  input: isText,
  offset: isCount(0),
  length: isCount(1),
  deferrals: orAbsent(isCount(0)),
  failures: orAbsent(isCount(0)),
  redriven: orAbsent((value) => value === true),
};

/** The item that a message's text stands for; undefined for a text that is none of ours, or of a layout to come. */
export function itemMessageIn(text: string): ItemMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const isItem = Object.entries(FIELDS).every(([field, check]) => check(value[field]));
  return isItem ? (value as unknown as ItemMessage) : undefined;
}
