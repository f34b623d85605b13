import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { InferencePolicy } from '../../lib/policy';
import { describeFaults, validatePolicy } from '../../lib/policy/validate';
import referencePolicy from '../policy.json';
import { UserError } from '../user-error';

/** A policy as a local run uses it. */
export interface LocalPolicy {
  /** Where it comes from, for people. */
  readonly source: string;
  /** Without keys: fit for synthesis, which refuses them. */
  readonly policy: InferencePolicy;
  /** Each tenant's keys, at least one. */
  readonly keys: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads and checks a policy, and gives each tenant without a key a new one.
 *
 * @param file path of a JSON file; the reference policy where there is none
 * @throws UserError that names every fault
 */
export function loadLocalPolicy(file: string | undefined): LocalPolicy {
  const source = file ?? 'the reference policy';
  const document: unknown = file === undefined ? referencePolicy : readJson(file);
  const faults = validatePolicy(document, { plainKeysAllowed: true });
  if (faults.length > 0) throw new UserError(`${source}: ${describeFaults(faults)}`);
  const policy = document as InferencePolicy;
  return {
    source,
    policy: { ...policy, tenants: policy.tenants.map(({ keys: _, ...tenant }) => tenant) },
    keys: new Map(policy.tenants.map(({ name, keys }) => [name, keys ?? [newKey(name)]])),
  };
}

/** Random, although it opens nothing but this process: a key that always works somewhere ends up somewhere else. */
function newKey(tenant: string): string {
  return `sk-local-${tenant}-${randomBytes(12).toString('hex')}`;
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the policy ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`the policy ${file} is not valid JSON: ${(error as Error).message.replace(/\s+/g, ' ')}`);
  }
}
