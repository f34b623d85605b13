import { setTimeout as delay } from 'node:timers/promises';
import { type CfnElement, Stack } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { InferencePlatform, type InferencePolicy } from '../../lib';
import { pipelinesFor } from '../reference-stack';
import { announcement } from './announcement';
import { functionsOf, readApi } from './api-gateway/api-definition';
import { type AnsweredRequest, ApiGatewayFront } from './api-gateway/front';
import { UsagePlans } from './api-gateway/usage-plans';
import { defineFunction, type LocalValues } from './function-definition';
import { listenLocally } from './http-listener';
import { type LambdaFunction, loadFunction } from './lambda-runtime';
import { openAccount } from './local-account';
import { type LocalBackend, serveBackends } from './local-backends';
import { loadLocalPolicy } from './local-policy';
import { type LocalStore, serveStore } from './local-store';
import { loadServices, type LocalServices, type ServiceFiles } from './services/local-services';
import { announcedPipelines, DEFAULT_WORKSPACE, programName } from './services/announced-pipelines';
import { openServices, withoutTls } from './services/open-services';
import { synthesise } from './synthesis';
import { resourcesOf, type Template } from './template';
import { registerTenantKeys } from './tenant-keys';

/** How a local run is started. */
export interface StartOptions {
  /** Path of the policy. @default - the reference policy */
  readonly policyFile?: string;
  /** Port of the front; 0 for any free one. */
  readonly port: number;
  /** Addresses of real backends by their name in the policy. */
  readonly backends: Readonly<Record<string, string>>;
  /** What answers services of the policy beside stubs, by the backend. @default - of the reference policy, its retrieval */
  readonly services?: ServiceFiles;
  /** Directory that `pipeline run` publishes to. @default pipeline.out */
  readonly workspace?: string;
  /** Address of a real store. @default - one in this process */
  readonly storeUrl?: string;
  /** Address of an emulator of AWS, such as moto. @default - queues, tables and buckets in this process */
  readonly awsEndpoint?: string;
  /** Whether the functions' own log and metric lines are printed. */
  readonly functionLogs: boolean;
  /** Takes what is printed. */
  print(text: string): void;
}

/** A platform that serves on this machine. */
export interface LocalRun {
  /** Address of the front, `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Stops accepting, lets requests in progress finish for a few seconds, and ends. */
  close(): Promise<void>;
}

/** What a request in progress gets to finish when the run ends. */
const GRACE_MS = 5000;

/**
 * Synthesises the platform from a policy and serves what its template describes: the built handlers behind a front that
 * does what API Gateway does for them.
 *
 * @throws UserError for what the user can put right
 */
export async function start(options: StartOptions): Promise<LocalRun> {
  const closers: (() => unknown)[] = [];
  const closeAll = async () => void (await Promise.all(closers.map((close) => close())));
  try {
    const localPolicy = loadLocalPolicy(options.policyFile);
    const { workspace = DEFAULT_WORKSPACE } = options;
    const services = servicesOf(options, localPolicy.policy);
    const answered = [...Object.values(services.dataPipelines), ...Object.values(services.featureStores)];
    const backends = await serveBackends(
      localPolicy.policy,
      options.backends,
      answered.flatMap(({ backend }) => backend ?? []),
    );
    closers.push(() => backends.close());
    const store = await serveStore(options.storeUrl);
    closers.push(() => store.close());

    const policy = withAddresses(localPolicy.policy, backends.list);
    const synthesis = synthesise((stack) => new InferencePlatform(stack, 'Platform', { policy, ...services }));
    closers.push(() => synthesis.remove());
    const api = readApi(synthesis.template);
    const tenantKeys = registerTenantKeys(synthesis.template, localPolicy.keys);
    const account = await openAccount(synthesis.template, options.awsEndpoint);
    closers.push(() => account.close());
    await account.writeKeys(tenantKeys.rows);

    const ingestIds = Object.values(synthesis.built.featureStores).map(({ ingest }) => logicalIdOf(ingest.function));
    const open = await openServices(synthesis.template, workspace, ingestIds);
    closers.push(() => open.close());
    const resolve = (value: unknown) => account.resolve(value, open.resources);
    const localValues = {
      ...{ ...localEnvironment(store), ...account.endpoints, ...open.values },
      ...functionBackends(synthesis.template, resolve),
    };
    const log = (text: string) => {
      if (options.functionLogs) options.print(text);
    };
    const load = async (id: string): Promise<[string, LambdaFunction]> => {
      const definition = open.onWorkspace(defineFunction(synthesis, id, localValues, resolve));
      return [id, await loadFunction(definition, log)];
    };
    const ids = new Set([...functionsOf(api), ...account.functionIds, ...open.functionIds]);
    const functions = new Map(await Promise.all([...ids].map(load)));
    open.begin(functions);
    const front = new ApiGatewayFront({
      api,
      usagePlans: new UsagePlans(synthesis.template, tenantKeys.keyIds, Date.now),
      functions,
      onAnswered: (answered) => options.print(accessLine(answered)),
    });
    const listener = await listenLocally(options.port, (request, response) => front.handle(request, response));
    account.begin(functions, (text) => process.stderr.write(`${text}\n`));
    options.print(
      announcement({
        ...{ url: listener.url, localPolicy, storeDescription: store.description, backends: backends.list },
        accountDescription: account.description,
        program: programName(),
        pipelines: await announcedPipelines(services, { ...options, files: options.services?.pipelines ?? {} }),
        featureStores: Object.entries(services.featureStores).map(([name, { backend = name, definition }], i) => ({
          ...{ backend, name: definition.name, entity: definition.features[0]?.entity ?? '' },
          ...{ ingestFunction: ingestIds[i] ?? '', awsEndpoint: open.url },
        })),
      }),
    );
    return {
      url: listener.url,
      close: async () => {
        listener.server.close();
        const idle = Promise.all([front.idle(), account.idle()]);
        await Promise.race([idle, delay(GRACE_MS, undefined, { ref: false })]);
        await listener.close();
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** What the user has asked for; of the reference policy the pipeline of the reference platform, unless a server stands in for it. */
function servicesOf({ policyFile, services, backends }: StartOptions, policy: InferencePolicy): LocalServices {
  const { pipelines = {}, features = {} } = services ?? {};
  const given = policyFile === undefined ? pipelinesFor(policy) : {};
  const kept = Object.entries(given).filter(
    ([, { backend = '' }]) => !Object.hasOwn(backends, backend) && !Object.hasOwn(pipelines, backend),
  );
  return loadServices(policy, { pipelines, features }, Object.fromEntries(kept));
}

/** Functions that answer backends, as the functions that call them find them. */
function functionBackends(template: Template, resolve: (value: unknown) => string | undefined): LocalValues {
  for (const [, { Environment: environment }] of resourcesOf(template, 'AWS::Lambda::Function')) {
    const { BACKENDS: backends } =
      (environment as { readonly Variables?: Readonly<Record<string, unknown>> } | undefined)?.Variables ?? {};
    const known = backends === undefined ? undefined : resolve(backends);
    if (known !== undefined) return { BACKENDS: withoutTls(known) };
  }
  return {};
}

function logicalIdOf(resource: IConstruct): string {
  return Stack.of(resource).getLogicalId(resource.node.defaultChild as CfnElement);
}

/**
 * Backends that would be fleets or models of Bedrock are servers at an address here, and speak the OpenAI protocol; the
 * rest of the policy is as it was reviewed.
 */
function withAddresses(policy: InferencePolicy, backends: readonly LocalBackend[]): InferencePolicy {
  const addresses = new Map(backends.map(({ name, url }) => [name, url]));
  return {
    ...policy,
    backends: policy.backends.map(({ bedrock: _, ...backend }) => ({ ...backend, url: addresses.get(backend.name) })),
  };
}

/**
 * In place of what a deployment knows: addresses on this machine, no IAM, whose tokens nobody here checks, and no event
 * bus: breakers that change are in the functions' own log.
 */
function localEnvironment(store: LocalStore): LocalValues {
  return {
    STORE_URL: store.url,
    ...(store.timeoutMs !== undefined && { STORE_TIMEOUT_MS: String(store.timeoutMs) }),
    STORE_USER: undefined,
    STORE_CACHE_NAME: undefined,
    EVENT_BUS: undefined,
    POLICY_FILE: '/opt/policy.json',
  };
}

function accessLine({ method, path, statusCode, milliseconds, tenant, cache, servedBy }: AnsweredRequest): string {
  const details = [tenant && `tenant=${tenant}`, cache && `cache=${cache}`, servedBy && `served-by=${servedBy}`].filter(
    Boolean,
  );
  return `${[method, path, statusCode, `${milliseconds.toFixed(0)} ms`, ...details].join('  ')}\n`;
}
