import { readFileSync } from 'node:fs';
import { resolvePolicy } from '../../lib/policy/defaults';
import type { InferencePolicy } from '../../lib/policy/policy';
import { announcer } from '../circuit-breaking/announce';
import { control, type ControlAnswer } from '../circuit-breaking/control';
import { eventPublisher } from '../events/environment';
import { breakerLine } from '../observability/breaker-line';
import { lineWriter } from '../observability/line-writer';
import { BreakerDesk } from '../store/breaker-desk';
import { StoreConnection } from '../store/connection';
import { connectionSettings } from '../store/environment';

const environment = process.env;
const policyFile = environment.POLICY_FILE ?? '/opt/policy.json';
const policy = resolvePolicy(JSON.parse(readFileSync(policyFile, 'utf8')) as InferencePolicy);
const names = {
  namespace: environment.METRICS_NAMESPACE ?? 'InferencePlatform',
  service: environment.SERVICE_NAME ?? 'inference',
};
const writeLine = lineWriter(process.stdout);
const warnOf =
  (part: string) =>
  ({ message }: Error) => {
    writeLine(JSON.stringify({ level: 'warn', message: part, 'error.message': message }));
  };

const connection = new StoreConnection({ ...connectionSettings(environment), onError: warnOf('store') });
const desk = new BreakerDesk((commands) => connection.trip(commands));
const publish = eventPublisher(environment);
const announce = announcer({
  service: names.service,
  log: (change) => {
    writeLine(breakerLine(change, names));
  },
  ...(publish && { publish }),
  warn: warnOf('event bus'),
});

/** Entry point for operators: reads breakers, and overrides them. */
export function handler(request: unknown): Promise<ControlAnswer> {
  return control(request, {
    backends: policy.backends,
    read: (backends) => desk.read(backends),
    force: (backend, force, forMs) => desk.force(backend, force, forMs),
    announce,
  });
}
