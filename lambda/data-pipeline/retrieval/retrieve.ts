import { isRecord, show } from '../../../lib/policy/fields';
import { BadRequest, type Fits, NothingPublished } from '../service-call';
import type { PointerStore } from '../storage';
import type { EmbedQueries } from './embed-queries';
import { type ActiveIndex, activeIndex } from './switch-index';
import type { Match, VectorIndexes } from './vector-index';

const MOST_QUERY_CHARACTERS = 8192;
const MOST_RESULTS = 100;

/** How long the name of the index that answers is taken as it was read: a switch is seen within it. */
const ACTIVE_FOR_MS = 10_000;

const HOW_TO_PUBLISH =
  'run the pipeline, by an execution of its state machine, or here by ' +
  '«npx cdk-inference-platform pipeline run --config FILE --input DIR --endpoint URL», and ask again';

/** The answer to a query. */
export interface Retrieved {
  /** The version that answers. */
  readonly version: string;
  /** The nearest records, nearest first. */
  readonly matches: readonly Match[];
}

/** What retrieval needs from outside. */
export interface RetrievePorts {
  /** Says which index answers. */
  readonly active: Pick<PointerStore, 'current'>;
  readonly indexes: Pick<VectorIndexes, 'open'>;
  readonly embed: EmbedQueries;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Answers queries from the index that is active: that of the last version whose index has found what its golden set asks for. */
export class Retriever {
  private active: (ActiveIndex & { readonly until: number }) | undefined;

  /**
   * @param pipeline name of the pipeline whose index is asked
   * @param results answers to a query that does not say how many
   */
  public constructor(
    private readonly pipeline: string,
    private readonly results: number,
    private readonly ports: RetrievePorts,
  ) {}

  /**
   * Answers `{"query", "results"}`.
   *
   * @param fits whether an answer is small enough to be sent
   * @throws BadRequest for a request that is wrong, or asks for more than can be sent; NothingPublished where no index is active; otherwise where it cannot be asked
   */
  public async retrieve(request: unknown, fits: Fits = () => true): Promise<Retrieved> {
    const { query, results } = this.parse(request);
    let active = await this.activeNow();
    let index = await this.ports.indexes.open(active.index);
    if (!index) {
      // It was replaced, and dropped, since its name was read.
      this.active = undefined;
      active = await this.activeNow();
      index = await this.ports.indexes.open(active.index);
    }
    const { version, embedding } = active;
    if (!index) throw new Error(`the index of version ${version} is gone`);
    const [vector] = await this.ports.embed([query], embedding);
    const matches = await index.query(vector!, results);
    const first = (count: number) => ({ version, matches: matches.slice(0, count) });
    if (fits(first(results))) return first(results);
    const most = largest(matches.length, (count) => fits(first(count)));
    throw new BadRequest(
      `results must be at most ${most} for this query, got ${results}: more of the records that are nearest to it are larger than the 1 MB of an answer`,
      'results',
    );
  }

  private async activeNow(): Promise<ActiveIndex> {
    const now = this.ports.now();
    if (this.active && now < this.active.until) return this.active;
    const active = await activeIndex(this.ports.active);
    if (!active) throw new NothingPublished(`${this.pipeline} has published no index yet: ${HOW_TO_PUBLISH}`);
    this.active = { ...active, until: now + ACTIVE_FOR_MS };
    return active;
  }

  private parse(request: unknown): { readonly query: string; readonly results: number } {
    if (!isRecord(request)) throw new BadRequest(`the request must be an object, got ${show(request)}`);
    const { query, results = this.results } = request;
    if (typeof query !== 'string' || query.trim() === '' || query.length > MOST_QUERY_CHARACTERS) {
      throw new BadRequest(
        `query must be text of 1 to ${MOST_QUERY_CHARACTERS} characters, got ${show(query)}`,
        'query',
      );
    }
    if (!Number.isInteger(results) || (results as number) < 1 || (results as number) > MOST_RESULTS) {
      throw new BadRequest(`results must be a whole number from 1 to ${MOST_RESULTS}, got ${show(results)}`, 'results');
    }
    return { query, results: results as number };
  }
}

/** The largest number that holds, of 0 to before `end`: 0 holds, and each does that is smaller than one that does. */
function largest(end: number, holds: (count: number) => boolean): number {
  let [least, beyond] = [0, end];
  while (beyond - least > 1) {
    const middle = Math.floor((least + beyond) / 2);
    if (holds(middle)) least = middle;
    else beyond = middle;
  }
  return least;
}
