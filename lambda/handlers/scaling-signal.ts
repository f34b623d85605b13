import { setTimeout as pause } from 'node:timers/promises';
import { runRounds } from '../auto-scaling/rounds';
import type { MetricSource, ScaledFleet } from '../auto-scaling/scaled-fleet';
import { type Gauges, SignalRound } from '../auto-scaling/signal-round';
import { awsService } from '../aws/service';
import { cloudWatchClient, newestOf, publish } from '../gauges/cloudwatch';
import { groupSize } from '../gauges/group';
import { waitingMessages } from '../gauges/queue';
import { lineWriter } from '../observability/line-writer';
import { loadLine } from '../observability/load-line';
import { requiredVariable } from '../security/environment';
import { StoreConnection } from '../store/connection';
import { connectionSettings } from '../store/environment';
import { LoadDesk } from '../store/load-desk';

const SERVICE_TIMEOUT_MS = 3000;

const environment = process.env;
const fleets = JSON.parse(requiredVariable(environment, 'FLEETS')) as readonly ScaledFleet[];
const namespace = requiredVariable(environment, 'METRICS_NAMESPACE');
const { QUEUE_URL: queueUrl } = environment;
const oldestJob = environment.OLDEST_JOB ? (JSON.parse(environment.OLDEST_JOB) as MetricSource) : undefined;

const writeLine = lineWriter(process.stdout);
const warn = (source: string, { message }: Error) => {
  writeLine(JSON.stringify({ level: 'warn', message: source, 'error.message': message }));
};

const connection = new StoreConnection({
  ...connectionSettings(environment),
  onError: (error) => {
    warn('store', error);
  },
});
const desk = new LoadDesk((commands) => connection.trip(commands));
const metrics = cloudWatchClient(SERVICE_TIMEOUT_MS);
// One try: the next round comes in ten seconds, with newer readings.
const queues = { ...awsService(environment, 'sqs', SERVICE_TIMEOUT_MS), attempts: 1 };
const groups = { ...awsService(environment, 'autoscaling', SERVICE_TIMEOUT_MS), attempts: 1 };

const round = new SignalRound(fleets, {
  work: (backends) => desk.work(backends),
  setRooms: (rooms) => desk.setRooms(rooms),
  ...(queueUrl && { waitingJobs: () => waitingMessages(queues, queueUrl) }),
  gauges: readGauges,
  groupSize: (group) => groupSize(groups, group),
  publish: (loads) => publish(metrics, namespace, loads),
  told: ({ backend }, reading, load) => {
    writeLine(loadLine(backend, reading, load));
  },
  warn,
  now: Date.now,
});

/** Entry point of the schedule, once a minute: makes the rounds of that minute. */
export function handler(_: unknown, context: { getRemainingTimeInMillis(): number }): Promise<void> {
  return runRounds(
    () => round.run(),
    (error) => {
      warn('round', error);
    },
    { now: Date.now, pause, remainingMs: () => context.getRemainingTimeInMillis() },
  );
}

/** All metrics in one call: the age of the oldest job, then of each fleet the GPUs and, where it has one, the caches. */
async function readGauges(scaled: readonly ScaledFleet[], now: number): Promise<Gauges> {
  const wanted = [oldestJob, ...scaled.flatMap(({ gpu, kvCache }) => [gpu, kvCache])];
  const sources = wanted.filter((source) => source !== undefined);
  const found = await newestOf(metrics, sources, now);
  const gaugeOf = (source: MetricSource | undefined) => (source ? found[sources.indexOf(source)] : undefined);
  const age = gaugeOf(oldestJob);
  return {
    ...(age && { oldestJob: age }),
    fleets: scaled.map((fleet) => {
      const [gpu, kvCache] = [gaugeOf(fleet.gpu), gaugeOf(fleet.kvCache)];
      return { ...(gpu && { gpu }), ...(kvCache && { kvCache }) };
    }),
  };
}
