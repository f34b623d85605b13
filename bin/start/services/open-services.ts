import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FunctionDefinition, LocalValues } from '../function-definition';
import type { LambdaFunction } from '../lambda-runtime';
import type { ResourceValues } from '../resources/template-values';
import { referencesIn, resourcesOf, type Template } from '../template';
import { startDataServices } from './data-services';
import { functionBalancersOf, serveBalancer } from './function-balancer';

/** What answers the services of a platform that are functions of its own. */
export interface OpenServices {
  /** Address of what functions call in place of Lambda, S3 Vectors, and the table of a pipeline's pointers. */
  readonly url: string;
  /** Functions that are needed for them. */
  readonly functionIds: readonly string[];
  /** What functions and load balancers are known by. */
  readonly resources: ReadonlyMap<string, ResourceValues>;
  /** For every function. */
  readonly values: LocalValues;
  /**
   * Has a function that reads a pipeline's index read that of the workspace.
   *
   * @returns the definition, changed where it is such a function
   */
  onWorkspace(definition: FunctionDefinition): FunctionDefinition;
  /** Has calls reach functions, once these are loaded. */
  begin(functions: ReadonlyMap<string, LambdaFunction>): void;
  close(): Promise<void>;
}

/** The account of a local run, in ARNs. */
const FUNCTION_ARN = 'arn:aws:lambda:us-east-1:000000000000:function:';

/**
 * Opens the addresses of the functions that answer services, and of what these call.
 *
 * @param workspace directory of pipelines' versions, as `pipeline run` has it under `--output`
 * @param others functions that may be invoked besides
 */
export async function openServices(
  template: Template,
  workspace: string,
  others: readonly string[],
): Promise<OpenServices> {
  const workspaces = new Map<string, string>();
  let functions: ReadonlyMap<string, LambdaFunction> = new Map();
  const functionNamed = (name: string) => functions.get(name.slice(name.lastIndexOf(':') + 1));
  const balancers = functionBalancersOf(template);
  const services = await startDataServices({ workspaces, functionNamed });
  const listeners = await Promise.all(
    balancers.map((balancer) => serveBalancer(balancer.id, () => functions.get(balancer.functionId))),
  );
  const answering = balancers.map(({ functionId }) => functionId);
  return {
    url: services.url,
    functionIds: [...answering, ...answering.flatMap((id) => functionsCalledBy(template, id)), ...others],
    resources: new Map<string, ResourceValues>([
      ...resourcesOf(template, 'AWS::Lambda::Function').map(
        ([id]) => [id, { ref: id, attributes: { Arn: FUNCTION_ARN + id } }] as const,
      ),
      ...balancers.map(
        ({ id }, i) => [id, { ref: id, attributes: { DNSName: new URL(listeners[i]!.url).host } }] as const,
      ),
    ]),
    values: {
      ...{ AWS_ENDPOINT_URL_LAMBDA: services.url, AWS_ENDPOINT_URL_S3VECTORS: services.url },
      ...{ PIPELINE_FILE: '/opt/pipeline.json', FEATURES_FILE: '/opt/features.json' },
      // Nobody else is on this machine's own network.
      TRUSTED_CERTIFICATES: undefined,
    },
    onWorkspace: (definition) => {
      const { VECTOR_BUCKET: vectors, POINTER_TABLE: pointers, PIPELINE_FILE: file } = definition.environment;
      if (vectors === undefined || pointers === undefined || file === undefined) return definition;
      const { name } = JSON.parse(readFileSync(file, 'utf8')) as { readonly name: string };
      for (const each of [vectors, pointers]) workspaces.set(each, join(workspace, name));
      return { ...definition, environment: { ...definition.environment, AWS_ENDPOINT_URL_DYNAMODB: services.url } };
    },
    begin: (loaded) => {
      functions = loaded;
    },
    close: async () => void (await Promise.all([services, ...listeners].map((listener) => listener.close()))),
  };
}

/** Addresses of function's load balancers, of which the environment says that they speak TLS. */
export function withoutTls(backends: string): string {
  const addresses = JSON.parse(backends) as Readonly<Record<string, { readonly url: string }>>;
  const plain = Object.entries(addresses).map(([name, { url }]) => [name, { url: url.replace(/^https:/, 'http:') }]);
  return JSON.stringify(Object.fromEntries(plain));
}

function functionsCalledBy(template: Template, id: string): string[] {
  const called = referencesIn(template.Resources[id]?.Properties?.Environment);
  return called.filter((other) => template.Resources[other]?.Type === 'AWS::Lambda::Function');
}
