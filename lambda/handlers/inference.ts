import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { resolvePolicy } from '../../lib/policy/defaults';
import type { InferencePolicy } from '../../lib/policy/policy';
import { backendAddresses } from '../backends/environment';
import { httpBackends } from '../backends/http-backends';
import { LocalStore } from '../fault-tolerance/local-store';
import { clientConnection } from '../gateway/client-connection';
import { Gateway } from '../gateway/gateway';
import type { HttpEvent } from '../gateway/http-event';
import { lineWriter } from '../observability/line-writer';
import { recordLine } from '../observability/record-line';
import { StoreConnection } from '../store/connection';
import { connectionSettings } from '../store/environment';
import { ValkeyStore } from '../store/valkey-store';

const environment = process.env;
const policyFile = environment.POLICY_FILE ?? '/opt/policy.json';
const policy = resolvePolicy(JSON.parse(readFileSync(policyFile, 'utf8')) as InferencePolicy);
const names = {
  namespace: environment.METRICS_NAMESPACE ?? 'InferencePlatform',
  service: environment.SERVICE_NAME ?? 'inference',
};
const writeLine = lineWriter(process.stdout);

const connection = new StoreConnection({
  ...connectionSettings(environment),
  onError: ({ message }) => {
    writeLine(JSON.stringify({ level: 'warn', message: 'store', 'error.message': message }));
  },
});
const gateway = new Gateway({
  policy,
  store: new ValkeyStore((commands) => connection.trip(commands), policy.cache),
  localStore: new LocalStore(Date.now),
  callBackend: httpBackends(backendAddresses(environment, policy.backends)),
  record: (record) => {
    writeLine(recordLine(record, names));
  },
  now: Date.now,
  random: Math.random,
  pause: (ms) => pause(ms),
  newId: randomUUID,
});

/** Entry point of the API: streams its answer. */
export const handler = awslambda.streamifyResponse<HttpEvent>((event, stream) =>
  gateway.serve(
    event,
    clientConnection(stream, (statusCode, headers) =>
      awslambda.HttpResponseStream.from(stream, { statusCode, headers }),
    ),
  ),
);
