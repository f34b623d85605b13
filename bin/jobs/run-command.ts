import { Queue } from '../../lambda/aws/queue';
import type { AwsService } from '../../lambda/aws/service';
import { Table } from '../../lambda/aws/table';
import { recordOf, keyOf } from '../../lambda/batch-store/rows';
import type { BatchRecord } from '../../lambda/queueing/batch-record';
import { claimable } from '../../lambda/queueing/claim';
import { environmentOf } from '../aws-environment';
import type { Letter, LetterFilter } from './letter';
import { lettersTable } from './letters-table';
import { findPlaces, type PlaceFlags, serviceFor } from './places';
import { redrive, type SeenLetter } from './redrive';

/** What the user asked for. */
export interface JobsOptions extends PlaceFlags {
  readonly filter: LetterFilter;
  readonly region?: string;
  readonly awsEndpoint?: string;
  /** `list`: shows dead letters; `redrive`: sends them back to the workers. */
  readonly action: 'list' | 'redrive';
  readonly dryRun: boolean;
}

const FATES = {
  list: { chosen: '', left: '' },
  dry: { chosen: 'would be sent back', left: 'left' },
  redrive: { chosen: 'sent back', left: 'left' },
};

/** Shows the dead letters of background work, or sends them back to the workers. */
export async function runJobs(
  options: JobsOptions,
  { print, progress }: { readonly print: (text: string) => void; readonly progress: (text: string) => void },
): Promise<void> {
  const environment = await environmentOf(options);
  const places = await findPlaces(options, environment);
  const sqs = serviceFor(environment, 'sqs');
  const isDry = options.dryRun || options.action === 'list';
  const letters = await redrive(
    options.filter,
    { dryRun: isDry },
    {
      deadLetters: new Queue(sqs, places.deadLetterQueueUrl),
      work: new Queue(sqs, places.queueUrl),
      dropped:
        places.table === undefined
          ? () => Promise.resolve(undefined)
          : droppedBy(places.table, serviceFor(environment, 'dynamodb')),
      now: Date.now,
      progress: (seen) => {
        progress(`\r${seen} dead letters read`);
      },
    },
  );
  progress('\r');
  print(told(letters, options));
}

function told(letters: readonly SeenLetter[], { action, dryRun, filter }: JobsOptions): string {
  if (letters.length === 0) return 'There are no dead letters.\n';
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const shown = action === 'list' && isFiltered ? letters.filter(({ fate }) => fate !== 'left') : letters;
  const fates = FATES[action === 'list' ? 'list' : dryRun ? 'dry' : 'redrive'];
  const chosen = letters.filter(({ fate }) => fate === 'chosen').length;
  const dropped = letters.filter(({ fate }) => fate === 'dropped').length;
  const sum =
    action === 'list'
      ? `${shown.length} of ${letters.length} dead letters.\n`
      : `${chosen} of ${letters.length} dead letters ${dryRun ? 'would be sent back' : 'sent back'}, ${letters.length - chosen} left${dropped > 0 ? `, ${dropped} of them since no worker would take them` : ''}.\n`;
  return `${lettersTable(shown, fates, Date.now())}\n${sum}`;
}

/** Asks the books what a worker would do with a letter; each batch once. */
function droppedBy(tableName: string, dynamodb: AwsService): (letter: Letter) => Promise<string | undefined> {
  const table = new Table(dynamodb, tableName);
  const known = new Map<string, Promise<string | undefined>>();
  const ask = async (tenant: string, id: string): Promise<string | undefined> => {
    const row = await table.get(keyOf.work(tenant, id));
    const batch = row && recordOf<BatchRecord>(row);
    const claim = claimable(batch, true, Math.floor(Date.now() / 1000));
    if (!claim) return undefined;
    return batch ? `its batch is ${batch.status}` : 'its batch is no longer kept';
  };
  return ({ item }) => {
    if (!item) return Promise.resolve(undefined);
    const key = `${item.tenant} ${item.batchId}`;
    const answer = known.get(key) ?? ask(item.tenant, item.batchId);
    known.set(key, answer);
    return answer;
  };
}
