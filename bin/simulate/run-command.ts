import { readFileSync, writeFileSync } from 'node:fs';
import { loadLocalPolicy } from '../start/local-policy';
import { UserError } from '../user-error';
import { cutEnvelope, readEnvelope, requestsFrom } from './envelope';
import { DEFAULT_PROFILE, type InstanceProfile, profileFrom, PROFILES } from './instance-profile';
import { DEFAULT_OBJECTIVE, type FirstTokenObjective, measure } from './measures';
import { plotSvg } from './plot';
import { progressBar, type ProgressOutput } from '../progress-bar';
import { seededRandom } from './random';
import { type FleetOptions, modelPlan } from './scenario';
import { type Scenario, simulate } from './simulation';
import { summaryTable } from './summary-table';
import { syntheticEnvelope, syntheticLengths } from './synthetic-load';
import { readLengths, readTrace, type Trace } from './trace';

/** What the command line gives. */
export interface SimulateOptions extends Omit<FleetOptions, 'profiles' | 'initialCapacity'> {
  readonly policyFile?: string;
  readonly model?: string;
  /** Requests to replay; with an envelope, their lengths only. */
  readonly traceFile?: string;
  readonly envelopeFile?: string;
  /** Column of rates in the envelope. */
  readonly column?: string;
  /** Day of the envelope to begin with. @default 0 */
  readonly day?: number;
  /** Mean rate that an envelope is scaled to, and of the synthetic load. */
  readonly rate?: number;
  /** Length of an envelope or the synthetic load. @default 24 */
  readonly hours?: number;
  /** Names of profiles, or files. */
  readonly instances: readonly string[];
  readonly initialCapacity?: number;
  readonly loseZoneAtHours?: number;
  readonly firstTokenMs?: number;
  readonly seed: number;
  readonly svgFile?: string;
}

/** Random streams of the load; the run's own are others. */
const STREAM = { envelope: 1, lengths: 2, arrivals: 3 } as const;
const DEFAULT_RATE = 12;
const DEFAULT_HOURS = 24;
/** A year. */
const MOST_HOURS = 8784;
const SAMPLES = 1000;

/** Health checks of the load balancer: three of 10 s. */
const SILENT_SECONDS = 30;

/** What was in progress when a zone was lost came before it. */
const BEFORE_LOSS_SECONDS = 60;

/**
 * Replays a load against a policy, and prints and draws what came of it.
 *
 * @throws UserError for what the user can put right
 */
export function runSimulation(
  options: SimulateOptions,
  output: { print(text: string): void; readonly progress: ProgressOutput },
): void {
  const { policy } = loadLocalPolicy(options.policyFile);
  checkFleet(options);
  const objective: FirstTokenObjective = {
    ...DEFAULT_OBJECTIVE,
    ...(options.firstTokenMs !== undefined && { milliseconds: options.firstTokenMs }),
  };
  const load = loadOf(options);
  const plan = modelPlan(policy, options.model, {
    ...options,
    profiles: options.instances.length > 0 ? options.instances.map(profileOf) : [PROFILES[DEFAULT_PROFILE]!],
    initialCapacity: options.initialCapacity ?? options.minCapacity,
  });
  // A vector is one answer, whatever a trace of chats says.
  const trace = plan.embeds ? { ...load, outputTokens: load.outputTokens.map(() => 1) } : load;
  const zoneLoss = zoneLossOf(options, trace);
  const scenario: Scenario = {
    ...plan,
    trace,
    seed: options.seed,
    sampleSeconds: Math.max(1, trace.duration / SAMPLES),
    ...(zoneLoss && { zoneLoss }),
  };
  const result = simulate(scenario, progressBar('simulate', output.progress));
  const measures = measure(result.requests, objective);
  const afterLoss =
    zoneLoss &&
    measure(result.requests, objective, {
      from: zoneLoss.atSeconds - BEFORE_LOSS_SECONDS,
      to: zoneLoss.atSeconds + 3600,
    });
  const title = `${plan.model}: ${options.signal}, ${options.balancing}`;
  output.print(`${title}\n`);
  output.print(summaryTable({ scenario, result, objective, measures, ...(afterLoss && { afterLoss }) }));
  if (options.svgFile !== undefined) {
    write(options.svgFile, plotSvg(title, scenario, result, objective));
    output.print(`  ${'plot'.padEnd(19)}  ${options.svgFile}\n`);
  }
}

/** The requests: a trace as it is, an envelope with a trace's lengths, or a synthetic load. */
function loadOf(options: SimulateOptions): Trace {
  const { traceFile, envelopeFile, column, day, seed, rate, hours = DEFAULT_HOURS } = options;
  const random = (stream: number) => seededRandom(seed, stream);
  if (envelopeFile === undefined) {
    const ofEnvelopes = { '--day': day, '--column': column };
    const ofLoads = { ...ofEnvelopes, '--rate': rate, '--hours': options.hours };
    const [needless] = givenOf(traceFile === undefined ? ofEnvelopes : ofLoads);
    const replayed = traceFile === undefined ? '' : '; a --trace without one is replayed as it is';
    if (needless !== undefined) throw new UserError(`${needless} goes with an --envelope${replayed}`);
    if (traceFile !== undefined) return readTrace(traceFile);
  }
  if (hours > MOST_HOURS) throw new UserError(`--hours must be at most ${MOST_HOURS}, got ${hours}`);
  const lengths = traceFile === undefined ? syntheticLengths(random(STREAM.lengths)) : readLengths(traceFile);
  if (envelopeFile === undefined) {
    const envelope = syntheticEnvelope(rate ?? DEFAULT_RATE, hours * 3600, random(STREAM.envelope));
    return requestsFrom(envelope, lengths, random(STREAM.arrivals));
  }
  if (column === undefined) throw new UserError('--envelope needs --column, the name of its column of rates');
  const cut = { day: day ?? 0, days: hours / 24, ...(rate !== undefined && { meanRate: rate }) };
  return requestsFrom(cutEnvelope(readEnvelope(envelopeFile, column), cut), lengths, random(STREAM.arrivals));
}

/** What is said of fleets that makes no sense, or would be passed over. */
function checkFleet(options: SimulateOptions): void {
  const { minCapacity, maxCapacity, initialCapacity, zones, signal } = options;
  if (maxCapacity < minCapacity) {
    throw new UserError(`--max must be at least --min (${minCapacity}), got ${maxCapacity}`);
  }
  if (initialCapacity !== undefined && (initialCapacity < minCapacity || initialCapacity > maxCapacity)) {
    throw new UserError(
      `--initial must be from --min (${minCapacity}) to --max (${maxCapacity}), got ${initialCapacity}`,
    );
  }
  if (options.survivesZoneLoss && zones < 2) {
    throw new UserError(`--survives-zone-loss needs --zones of at least 2, got ${zones}`);
  }
  const ofFleetLoad = {
    '--survives-zone-loss': options.survivesZoneLoss === true ? true : undefined,
    '--tokens-per-instance': options.tokensPerInstance,
  };
  const [ignored] = givenOf(signal === 'fleet-load' ? {} : ofFleetLoad);
  if (ignored !== undefined) throw new UserError(`${ignored} is for --scaling fleet-load, got --scaling ${signal}`);
  if (signal === 'static' && options.target !== undefined) {
    throw new UserError('--target is for a signal that is followed: --scaling static follows none');
  }
}

/** The names of those that are given. */
function givenOf(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [name]));
}

function profileOf(name: string): InstanceProfile {
  const known = PROFILES[name];
  if (known) return known;
  if (!name.endsWith('.json')) {
    throw new UserError(
      `--instance ${name}: no such profile; write ${Object.keys(PROFILES).join(', ')} or a JSON file`,
    );
  }
  let text: string;
  try {
    text = readFileSync(name, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the profile ${name}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new UserError(`the profile ${name} is not valid JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
  return profileFrom(document, name);
}

function zoneLossOf({ loseZoneAtHours, zones }: SimulateOptions, trace: Trace): Scenario['zoneLoss'] {
  if (loseZoneAtHours === undefined) return undefined;
  const atSeconds = loseZoneAtHours * 3600;
  if (atSeconds >= trace.duration) {
    throw new UserError(`--lose-zone-at must be before the end of the load, ${(trace.duration / 3600).toFixed(2)} h`);
  }
  if (zones < 2) throw new UserError(`--lose-zone-at needs --zones of at least 2, got ${zones}`);
  return { zone: 0, atSeconds, silentSeconds: SILENT_SECONDS };
}

function write(file: string, content: string): void {
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new UserError(`cannot write ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}
