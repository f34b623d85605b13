import { readFileSync } from 'node:fs';
import { type ResolvedPolicy, resolvePolicy } from '../../../lib/policy/defaults';
import type { InferencePolicy } from '../../../lib/policy/policy';
import { announcer } from '../../circuit-breaking/announce';
import { eventPublisher } from '../../events/environment';
import { breakerLine } from '../../observability/breaker-line';
import { lineWriter } from '../../observability/line-writer';
import type { MetricsNames } from '../../observability/record-line';
import { StoreConnection } from '../../store/connection';
import { connectionSettings } from '../../store/environment';

/** What a function has that answers for a policy and knows of its breakers. */
export interface ServiceParts {
  readonly policy: ResolvedPolicy;
  /** Under which names metrics are found. */
  readonly names: MetricsNames;
  /** Writes a line to the log. */
  readonly writeLine: (line: string) => void;
  /** Opens a connection to the store. */
  readonly connect: (settings?: { readonly timeoutMs: number }) => StoreConnection;
  /** Tells log and event bus of a breaker that changed. */
  readonly announce: ReturnType<typeof announcer>;
}

/**
 * Reads the policy, and finds log, store and event bus, as a function's environment names them.
 *
 * @param serviceName name of the service in metrics where the environment has none
 */
export function serviceFrom(environment: NodeJS.ProcessEnv, serviceName: string): ServiceParts {
  const policyFile = environment.POLICY_FILE ?? '/opt/policy.json';
  const policy = resolvePolicy(JSON.parse(readFileSync(policyFile, 'utf8')) as InferencePolicy);
  const names = {
    namespace: environment.METRICS_NAMESPACE ?? 'InferencePlatform',
    service: environment.SERVICE_NAME ?? serviceName,
  };
  const writeLine = lineWriter(process.stdout);
  const warnOf =
    (part: string) =>
    ({ message }: Error) => {
      writeLine(JSON.stringify({ level: 'warn', message: part, 'error.message': message }));
    };
  const publish = eventPublisher(environment);
  return {
    policy,
    names,
    writeLine,
    connect: (settings) =>
      new StoreConnection({ ...connectionSettings(environment), ...settings, onError: warnOf('store') }),
    announce: announcer({
      service: names.service,
      log: (change) => {
        writeLine(breakerLine(change, names));
      },
      ...(publish && { publish }),
      warn: warnOf('event bus'),
    }),
  };
}
