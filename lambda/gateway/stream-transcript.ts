import { generatedBytes, reportedUsage, type Usage, usageSeen } from './usage';

const DONE = /^data: ?\[DONE\]/m;
const USAGE = /"usage"\s*:\s*\{/;
const NOTHING = Buffer.alloc(0);

/** What a stream is like. */
export interface StreamForm {
  /** The most that is kept of it to be stored, in bytes. */
  readonly mostBytes: number;
  /** Whether it is whole only once `[DONE]` has come, or when it closes without error. */
  readonly hasTerminalEvent: boolean;
}

/**
 * Follows a stream of server-sent events as it passes through: learns its usage and whether it came to its end, and
 * keeps what the client saw. Events leave as they came, each as soon as it is whole; the one event that the client did
 * not ask for, the usage that the gateway did, is left out.
 */
export class StreamTranscript {
  /** Whether the terminal event has passed. */
  public complete = false;
  private pending: Buffer = NOTHING;
  private reported: Usage | undefined;
  private kept: string[] = [];
  private keptBytes = 0;
  private countedBytes = 0;
  private overflown = false;

  /** @param includeUsage whether the client asked for the usage */
  constructor(
    private readonly includeUsage: boolean,
    private readonly form: StreamForm,
  ) {}

  /** Takes what the backend sent and returns what the client may have by now. */
  public pass(chunk: Buffer): Buffer {
    const received = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk]);
    const end = endOfLastEvent(received);
    this.pending = received.subarray(end);
    if (end === 0) return NOTHING;
    const events = received.subarray(0, end);
    const text = events.toString('utf8');
    this.complete ||= DONE.test(text);
    const wanted = USAGE.test(text) ? this.readUsage(text) : text;
    this.keep(wanted);
    return wanted === text ? events : Buffer.from(wanted);
  }

  /** Takes the end of the backend's stream and returns the last event, where the backend did not close it. */
  public end(): Buffer {
    this.complete ||= !this.form.hasTerminalEvent;
    return this.pending.length === 0 ? NOTHING : this.pass(Buffer.from('\n\n'));
  }

  /** Tokens used: as reported, or else what was seen. */
  public usage(inputTokens: number): Usage {
    return this.reported ?? usageSeen(inputTokens, this.countedBytes + this.bytesIn(this.kept.join('')));
  }

  /** The whole stream as the client saw it; undefined for one that did not come to its end or is too large to store. */
  public text(): string | undefined {
    return this.complete && !this.overflown ? this.kept.join('') : undefined;
  }

  private readUsage(text: string): string {
    const events = text.split(/(?<=\r?\n\r?\n)/);
    const wanted = events.filter((event) => {
      const data = dataOf(event);
      const usage = reportedUsage(data);
      if (!usage) return true;
      this.reported = usage;
      const { choices } = data as { choices?: unknown };
      return this.includeUsage || !Array.isArray(choices) || choices.length > 0;
    });
    return wanted.length === events.length ? text : wanted.join('');
  }

  private keep(text: string): void {
    this.kept.push(text);
    this.keptBytes += Buffer.byteLength(text);
    if (this.keptBytes <= this.form.mostBytes) return;
    // Too large to store: what it wrote is counted, and the text let go.
    this.overflown = true;
    this.countedBytes += this.bytesIn(this.kept.join(''));
    this.kept = [];
    this.keptBytes = 0;
  }

  private bytesIn(text: string): number {
    return text.split(/\r?\n\r?\n/).reduce((sum, event) => sum + generatedBytes(dataOf(event)), 0);
  }
}

/** The JSON of one event; undefined for a comment, the terminal event or garbage. */
export function dataOf(event: string): unknown {
  const data = event
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trim())
    .join('\n');
  try {
    return JSON.parse(data) as unknown;
  } catch {
    return undefined;
  }
}

function endOfLastEvent(bytes: Buffer): number {
  const unix = bytes.lastIndexOf('\n\n');
  const network = bytes.lastIndexOf('\r\n\r\n');
  return Math.max(unix < 0 ? 0 : unix + 2, network < 0 ? 0 : network + 4);
}
