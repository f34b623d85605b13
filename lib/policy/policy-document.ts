import { readFileSync } from 'node:fs';
import type { InferencePolicy } from './policy';
import { assertValidPolicy, validatePolicy } from './validate';

/** Reads and checks policies that are kept as JSON. */
export class PolicyDocument {
  /**
   * Reads a policy from a JSON file.
   *
   * @param path path of the file, relative to the working directory
   * @returns the policy, valid for synthesis
   * @throws an error that names every fault with its path
   */
  public static fromFile(path: string): InferencePolicy {
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (error) {
      throw new Error(`the policy file "${path}" cannot be read: ${(error as Error).message}`);
    }
    return PolicyDocument.fromJson(json);
  }

  /**
   * Reads a policy from JSON text.
   *
   * @param json the policy as JSON
   * @returns the policy, valid for synthesis
   * @throws an error that names every fault with its path
   */
  public static fromJson(json: string): InferencePolicy {
    let policy: unknown;
    try {
      policy = JSON.parse(json);
    } catch (error) {
      throw new Error(`the policy is not valid JSON: ${(error as Error).message}`);
    }
    assertValidPolicy(policy, { plainKeysAllowed: false });
    return policy as InferencePolicy;
  }

  /**
   * Lists what is wrong with a policy that is to be synthesised.
   *
   * @param policy the policy
   * @returns one line a fault, `path: what is wrong`; empty for a valid policy
   */
  public static validate(policy: InferencePolicy): string[] {
    return validatePolicy(policy, { plainKeysAllowed: false }).map((fault) => `${fault.path}: ${fault.message}`);
  }

  private constructor() {}
}
