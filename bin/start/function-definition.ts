import { existsSync } from 'node:fs';
import { devNull } from 'node:os';
import { join } from 'node:path';
import type { Synthesis } from './synthesis';
import { isIntrinsic, referenceIn } from './template';

/** A Lambda function of the template, with what it needs to run here. */
export interface FunctionDefinition {
  readonly id: string;
  /** The module that holds the handler. */
  readonly file: string;
  /** Name of the handler in the module. */
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * Values for variables whose own are known only at deployment, by the variable's name; undefined leaves a variable out.
 */
export type LocalValues = Readonly<Record<string, string | undefined>>;

const DEFAULT_TIMEOUT_SECONDS = 3;

/** Layers are unpacked here in Lambda. */
const LAYER_ROOT = '/opt/';

/** What the service sets. No key of the developer and no profile of theirs is seen by a handler. */
export const SERVICE_ENVIRONMENT = {
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
  AWS_SESSION_TOKEN: 'local',
  AWS_CONFIG_FILE: devNull,
  AWS_SHARED_CREDENTIALS_FILE: devNull,
  AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
  TZ: ':UTC',
  // The handlers are made for Lambda's Node.js; which one runs them here is the user's choice.
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
};

/**
 * Reads a function from the template.
 *
 * @param resolve the value of an intrinsic, where it is known here
 * @throws where a variable is known only at deployment, and has no local value
 */
export function defineFunction(
  synthesis: Synthesis,
  id: string,
  localValues: LocalValues,
  resolve: (value: unknown) => string | undefined = () => undefined,
): FunctionDefinition {
  const properties = synthesis.template.Resources[id]?.Properties as {
    readonly Code: { readonly S3Key: unknown };
    readonly Handler: string;
    readonly Timeout?: number;
    readonly MemorySize?: number;
    readonly Layers?: readonly unknown[];
    readonly Environment?: { readonly Variables?: Readonly<Record<string, unknown>> };
  };
  const layers = (properties.Layers ?? []).map((layer) => layerDirectory(synthesis, layer));
  const [module = '', handler = ''] = properties.Handler.split('.');
  const directory = synthesis.assetDirectory(properties.Code.S3Key);
  const file = ['.mjs', '.js', '.cjs'].map((ending) => join(directory, module + ending)).find(existsSync);
  if (!file) throw new Error(`function ${id}: its code has no module "${module}"`);
  return {
    id,
    file,
    handler,
    timeoutMs: (properties.Timeout ?? DEFAULT_TIMEOUT_SECONDS) * 1000,
    environment: {
      ...SERVICE_ENVIRONMENT,
      AWS_LAMBDA_FUNCTION_NAME: id,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(properties.MemorySize ?? 128),
      ...localEnvironment(properties.Environment?.Variables ?? {}, localValues, { layers, resolve, id }),
    },
  };
}

function localEnvironment(
  variables: Readonly<Record<string, unknown>>,
  localValues: LocalValues,
  {
    layers,
    resolve,
    id,
  }: {
    readonly layers: readonly string[];
    readonly resolve: (value: unknown) => string | undefined;
    readonly id: string;
  },
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, given] of Object.entries({ ...variables, ...localValues })) {
    if (Object.hasOwn(localValues, name) && localValues[name] === undefined) continue;
    const value = isIntrinsic(given) ? resolve(given) : String(given);
    if (value === undefined) {
      throw new Error(`function ${id}: its variable ${name} is known only at deployment, and has no local value`);
    }
    environment[name] = inLayers(value, layers);
  }
  return environment;
}

/** A path under /opt leads to the directory that the layer was made from. */
function inLayers(value: string, layers: readonly string[]): string {
  if (!value.startsWith(LAYER_ROOT)) return value;
  return layers.map((layer) => join(layer, value.slice(LAYER_ROOT.length))).find(existsSync) ?? value;
}

function layerDirectory(synthesis: Synthesis, layer: unknown): string {
  const content = synthesis.template.Resources[referenceIn(layer) ?? '']?.Properties?.Content as
    { readonly S3Key: unknown } | undefined;
  return synthesis.assetDirectory(content?.S3Key);
}
