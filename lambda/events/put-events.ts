import { SignatureV4 } from '@smithy/signature-v4';
import type { AwsCredentialIdentity } from '@smithy/types';
import type { BusEvent } from '../circuit-breaking/state-change';
import { Sha256 } from '../security/sha256';

/** Which bus events go to, and how. */
export interface EventBusSettings {
  /** ARN of the bus. */
  readonly bus: string;
  readonly region: string;
  /** Address of EventBridge. */
  readonly endpoint: string;
  readonly credentials: () => AwsCredentialIdentity;
  readonly now: () => Date;
}

/** An entry of PutEvents. */
interface Entry {
  readonly Source: string;
  readonly DetailType: string;
  readonly Detail: string;
  readonly EventBusName: string;
  readonly Time: number;
}

/** Its answer: an id for each entry that was taken, an error for each that was not. */
interface PutEventsAnswer {
  readonly FailedEntryCount: number;
  readonly Entries: readonly {
    readonly EventId?: string;
    readonly ErrorCode?: string;
    readonly ErrorMessage?: string;
  }[];
}

/** EventBridge's limit for one call. */
const MOST_ENTRIES = 10;

/** For each of two tries: events are sent while a function waits to end, and must not hold it for longer than a second. */
const TRY_MS = 500;

/**
 * Sends events to a bus of EventBridge: the one call of it that is needed, without its SDK client, which is larger than
 * a whole handler may be. What was not taken is sent once more.
 *
 * @throws where events were not taken then, with EventBridge's own words
 */
export async function putEvents(events: readonly BusEvent[], settings: EventBusSettings): Promise<void> {
  const entries = events.map((event) => entryOf(event, settings.bus));
  const batches = Array.from({ length: Math.ceil(entries.length / MOST_ENTRIES) }, (_, i) =>
    entries.slice(i * MOST_ENTRIES, (i + 1) * MOST_ENTRIES),
  );
  await Promise.all(batches.map((batch) => sendTwice(batch, settings)));
}

async function sendTwice(entries: readonly Entry[], settings: EventBusSettings): Promise<void> {
  const failed = await send(entries, settings).catch(() => ({ entries }));
  if (failed.entries.length === 0) return;
  const again = await send(failed.entries, settings);
  if (again.entries.length > 0) throw new Error(`EventBridge refused ${again.entries.length} events: ${again.reason}`);
}

/** Sends entries and returns those that were refused. */
async function send(
  entries: readonly Entry[],
  { endpoint, region, credentials, now }: EventBusSettings,
): Promise<{ readonly entries: readonly Entry[]; readonly reason: string }> {
  const url = new URL(endpoint);
  const body = JSON.stringify({ Entries: entries });
  const signer = new SignatureV4({ service: 'events', region, credentials: credentials(), sha256: Sha256 });
  const { headers } = await signer.sign(
    {
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      headers: {
        host: url.host,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'AWSEvents.PutEvents',
      },
      body,
    },
    { signingDate: now() },
  );
  const answer = await fetch(new URL('/', url), { method: 'POST', headers, body, signal: AbortSignal.timeout(TRY_MS) });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`EventBridge answered ${answer.status}: ${text.slice(0, 500)}`);
  const { FailedEntryCount, Entries } = JSON.parse(text) as PutEventsAnswer;
  if (FailedEntryCount === 0) return { entries: [], reason: '' };
  const refusal = Entries.find(({ EventId }) => !EventId);
  return {
    entries: entries.filter((_, i) => !Entries[i]?.EventId),
    reason: `${refusal?.ErrorCode} ${refusal?.ErrorMessage}`,
  };
}

function entryOf({ source, detailType, detail, time }: BusEvent, bus: string): Entry {
  // The protocol's times are seconds.
  const Time = time / 1000;
  return { Source: source, DetailType: detailType, Detail: JSON.stringify(detail), EventBusName: bus, Time };
}
