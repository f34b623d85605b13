import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { InferencePolicy } from '../../lib/policy/policy';
import { WorkerProcess } from './worker-process';
import type { Call, Reply } from './workers/function-instance';

/** The built function. */
export const HANDLER_FILE = resolve(__dirname, '../../dist/handlers/inference/index.mjs');

/** One instance of the inference function, in a process of its own. */
export type FunctionInstance = WorkerProcess<Call, Reply>;

/** Starts instances of the built inference function on one store. */
export function startInstances(
  count: number,
  policy: InferencePolicy,
  storeUrl: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<FunctionInstance[]> {
  const file = join(mkdtempSync(join(tmpdir(), 'instances-')), 'policy.json');
  writeFileSync(file, JSON.stringify(policy));
  const own = { HANDLER_FILE, POLICY_FILE: file, STORE_URL: storeUrl, AWS_REGION: 'eu-west-1', ...environment };
  return Promise.all(Array.from({ length: count }, () => WorkerProcess.start<Call, Reply>('function-instance', own)));
}
