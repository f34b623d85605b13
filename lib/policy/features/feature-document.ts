import { readFileSync } from 'node:fs';
import type { FeatureDefinition } from './definition';
import { assertValidFeatures, validateFeatures } from './validate';

/** Reads and checks definitions of features that are kept as JSON. */
export class FeatureDocument {
  /**
   * Reads a definition from a JSON file, such as the pinned one.
   *
   * @param path path of the file, relative to the working directory
   * @returns the definition, valid
   * @throws an error that names every fault with its path
   */
  public static fromFile(path: string): FeatureDefinition {
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (error) {
      throw new Error(`the file of features "${path}" cannot be read: ${(error as Error).message}`);
    }
    return FeatureDocument.fromJson(json);
  }

  /**
   * Reads a definition from JSON text.
   *
   * @param json the definition as JSON
   * @returns the definition, valid
   * @throws an error that names every fault with its path
   */
  public static fromJson(json: string): FeatureDefinition {
    let definition: unknown;
    try {
      definition = JSON.parse(json);
    } catch (error) {
      throw new Error(`the definition of features is not valid JSON: ${(error as Error).message}`);
    }
    assertValidFeatures(definition);
    return definition as FeatureDefinition;
  }

  /**
   * Lists what is wrong with a definition.
   *
   * @param definition the definition
   * @returns one line a fault, `path: what is wrong`; empty for a valid definition
   */
  public static validate(definition: FeatureDefinition): string[] {
    return validateFeatures(definition).map((fault) => `${fault.path}: ${fault.message}`);
  }

  private constructor() {}
}
