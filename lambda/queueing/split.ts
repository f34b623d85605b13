import { advanceSplit, failed, inputFault, isOpen, type SplitProgress } from './batch-life';
import type { BatchFault, BatchRecord } from './batch-record';
import type { BatchBooks, ControlQueue, Shelves } from './books';
import type { ItemMessage, ItemQueue, ResultShelf } from './item';
import { LineChecker, type LineRules } from './line-check';
import { type Line, readLines } from './line-reader';
import { faultLine, type ItemFault } from './result-line';
import { SeenIds } from './seen-ids';

/** Everything that splitting needs from outside. */
export interface SplitPorts {
  readonly batches: Pick<BatchBooks, 'change'>;
  readonly shelves: Pick<Shelves, 'open'>;
  readonly results: Pick<ResultShelf, 'write'>;
  readonly items: ItemQueue;
  readonly control: ControlQueue;
  /** Tells this invocation from any other. */
  readonly owner: string;
  /** Seconds since 1970. */
  readonly now: () => number;
  /** Milliseconds that the invocation has left. */
  readonly remainingMs: () => number;
}

/** What a batch is held to. */
export interface SplitRules extends LineRules {
  /** The most lines. */
  readonly maxRequests: number;
}

/** Why splitting stopped: all is sent; the batch wants no more lines; another splits it; or the time was short. */
export type SplitEnd = 'done' | 'failed' | 'over' | 'continued';

/**
 * Lines that are sent, noted and then forgotten together. Twenty groups of ten keep SQS busy; and as many items at most
 * are sent twice after a crash.
 */
export const FLIGHT_LINES = 200;

/** With less time left, the rest is left to another invocation. */
const RESERVE_MS = 60_000;

/**
 * The shortest line that can be good is longer than that, so that a file of fewer bytes needs no counting before the
 * first line is sent.
 */
const SHORTEST_LINE = 60;

/**
 * Cuts the input of a batch into items, in constant memory. Each flight of lines is noted once it is sent: after a crash
 * the next splitter goes on behind the last noted flight, and sends again only what was in doubt. No line is lost, and a
 * line that was sent twice is still one item.
 */
export async function split(batch: BatchRecord, rules: SplitRules, ports: SplitPorts): Promise<SplitEnd> {
  if (!isOpen(batch) || batch.split.done) return 'over';
  if (batch.split.line === 0 && (await hasTooManyLines(batch, rules, ports))) {
    const message = `The input has more than ${rules.maxRequests} lines, the most that a batch may have.`;
    return giveUp(batch, ports, { code: 'request_limit_exceeded', message, param: null, line: null });
  }
  const input = await ports.shelves.open(batch.input.key);
  const fault = inputFault(batch, input);
  if (!input || fault) return fault ? giveUp(batch, ports, fault) : 'over';
  return new Splitter(batch, rules, ports).run(input.body);
}

async function giveUp(batch: BatchRecord, ports: SplitPorts, fault: BatchFault): Promise<SplitEnd> {
  const { tenant, id } = batch;
  await ports.batches.change(tenant, id, (now) => (isOpen(now) ? failed(now, [fault], ports.now()) : undefined));
  return 'failed';
}

/** Counted before the first line is sent: a batch that is too long fails as a whole. */
async function hasTooManyLines({ input }: BatchRecord, rules: SplitRules, { shelves }: SplitPorts): Promise<boolean> {
  if (input.bytes <= rules.maxRequests * SHORTEST_LINE) return false;
  const object = await shelves.open(input.key);
  if (!object) return false;
  let lines = 0;
  for await (const _ of readLines(object.body, rules.maxLineBytes)) {
    lines += 1;
    if (lines > rules.maxRequests) return true;
  }
  return false;
}

/** What is being collected for the next flight. */
interface Flight {
  readonly messages: ItemMessage[];
  readonly refused: { readonly line: number; readonly customId: string | null; readonly fault: ItemFault }[];
  readonly models: Set<string>;
}

class Splitter {
  private readonly checker: LineChecker;
  private readonly maxLineBytes: number;
  private flight = newFlight();
  /** What has been collected so far, in all. */
  private upTo: SplitProgress;
  /** The line up to which all is noted, or will be when the flight in the air has landed. */
  private notedLine: number;
  /** The flight in the air: while it is sent, the next is collected. */
  private landing: Promise<boolean> = Promise.resolve(true);

  constructor(
    private readonly batch: BatchRecord,
    rules: SplitRules,
    private readonly ports: SplitPorts,
  ) {
    this.checker = new LineChecker(rules, new SeenIds(rules.maxRequests));
    this.maxLineBytes = rules.maxLineBytes;
    this.upTo = { ...batch.split, models: [], faults: [] };
    this.notedLine = batch.split.line;
  }

  public async run(body: AsyncIterable<Uint8Array>): Promise<SplitEnd> {
    const { line: known } = this.batch.split;
    for await (const line of readLines(body, this.maxLineBytes)) {
      if (line.number <= known) {
        this.checker.recall(line);
        continue;
      }
      this.collect(line);
      if (this.flight.messages.length + this.flight.refused.length < FLIGHT_LINES) continue;
      if (!(await this.landing)) return 'over';
      if (this.ports.remainingMs() < RESERVE_MS) {
        // What was collected is read again by whoever goes on.
        const { tenant, id } = this.batch;
        await this.ports.control.send({ v: 1, kind: 'split', tenant, batchId: id });
        return 'continued';
      }
      this.landing = this.launch({ done: false });
      // A failure is met where the flight is awaited, and is none that nobody handles until then.
      this.landing.catch(() => undefined);
    }
    if (!(await this.landing)) return 'over';
    if (!(await this.launch({ done: true }))) return 'over';
    return this.upTo.sent > 0 ? 'done' : 'failed';
  }

  private collect(line: Line): void {
    const { tenant, plan, id: batchId, input } = this.batch;
    const found = this.checker.inspect(line);
    let { sent, rejected } = this.upTo;
    if ('fault' in found) {
      this.flight.refused.push({ line: line.number, ...found });
      rejected += 1;
    } else {
      const place = { line: line.number, input: input.key, offset: line.offset, length: line.length };
      this.flight.messages.push({ v: 1, tenant, plan, batchId, ...place });
      this.flight.models.add(found.model);
      sent += 1;
    }
    this.upTo = { ...this.upTo, line: line.number, offset: line.next, sent, rejected };
  }

  /** Sends what is collected, and notes it; false where nobody wants it any more. */
  private async launch({ done }: { done: boolean }): Promise<boolean> {
    const { flight, ports } = this;
    const { tenant, id: batchId } = this.batch;
    const from = this.notedLine;
    const empty = done && this.upTo.sent + this.upTo.rejected === 0;
    const progress = {
      ...this.upTo,
      done,
      by: ports.owner,
      models: [...flight.models],
      faults: empty ? [EMPTY_FILE] : flight.refused.map(({ line, fault }) => faultOf(fault, line)),
    };
    this.flight = newFlight();
    this.notedLine = progress.line;
    await Promise.all([
      flight.messages.length > 0 && ports.items.send(flight.messages.map((message) => ({ message }))),
      ...flight.refused.map(({ line, customId, fault }) => {
        const item = { tenant, batchId, line };
        return ports.results.write(item, faultLine(item, customId, fault));
      }),
    ]);
    const noted = await ports.batches.change(tenant, batchId, (batch) =>
      advanceSplit(batch, from, progress, ports.now()),
    );
    return noted !== undefined;
  }
}

const EMPTY_FILE: BatchFault = {
  code: 'empty_file',
  message: 'The input file has no requests: nothing but white space.',
  param: null,
  line: null,
};

function newFlight(): Flight {
  return { messages: [], refused: [], models: new Set() };
}

function faultOf({ code, message, param }: ItemFault, line: number): BatchFault {
  return { code, message, param: param ?? null, line };
}
