import { readFileSync } from 'node:fs';
import type { PipelineDefinition } from './definition';
import { assertValidPipeline, validatePipeline } from './validate-pipeline';

/** Reads and checks pipeline definitions that are kept as JSON. */
export class PipelineDocument {
  /**
   * Reads a definition from a JSON file.
   *
   * @param path path of the file, relative to the working directory
   * @returns the definition, valid
   * @throws an error that names every fault with its path
   */
  public static fromFile(path: string): PipelineDefinition {
    let json: string;
    try {
      json = readFileSync(path, 'utf8');
    } catch (error) {
      throw new Error(`the pipeline file "${path}" cannot be read: ${(error as Error).message}`);
    }
    return PipelineDocument.fromJson(json);
  }

  /**
   * Reads a definition from JSON text.
   *
   * @param json the definition as JSON
   * @returns the definition, valid
   * @throws an error that names every fault with its path
   */
  public static fromJson(json: string): PipelineDefinition {
    let definition: unknown;
    try {
      definition = JSON.parse(json);
    } catch (error) {
      throw new Error(`the pipeline is not valid JSON: ${(error as Error).message}`);
    }
    assertValidPipeline(definition);
    return definition;
  }

  /**
   * Lists what is wrong with a definition.
   *
   * @param definition the definition
   * @returns one line a fault, `path: what is wrong`; empty for a valid definition
   */
  public static validate(definition: PipelineDefinition): string[] {
    return validatePipeline(definition).map((fault) => `${fault.path}: ${fault.message}`);
  }

  private constructor() {}
}
