import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { bedrockBackends } from '../../backends/bedrock-backends';
import { addressesOf, bedrockTargets } from '../../backends/bedrock-models';
import { backendAddresses } from '../../backends/environment';
import { httpBackends } from '../../backends/http-backends';
import { LocalIndex } from '../../caching/local-index';
import type { Timer } from '../../fault-tolerance/hedge';
import { LocalStore } from '../../fault-tolerance/local-store';
import { Gateway } from '../../gateway/gateway';
import type { SemanticPorts } from '../../gateway/semantic-step';
import { recordLine } from '../../observability/record-line';
import { environmentCredentials } from '../../security/environment-credentials';
import { ValkeyIndex } from '../../store/valkey-index';
import { type Trip, ValkeyStore } from '../../store/valkey-store';
import { vectorCache } from '../../store/vector-cache';
import { serviceFrom, type ServiceParts } from './service-from-environment';

/** A gateway as a function's environment describes it, and what its handler needs besides. */
export interface GatewayParts extends Pick<ServiceParts, 'policy' | 'names' | 'writeLine'> {
  readonly gateway: Gateway;
}

/** Calls back after so many milliseconds, unless that is cancelled. */
export const timer: Timer = (ms, callback) => {
  const waiting = setTimeout(callback, ms);
  return () => {
    clearTimeout(waiting);
  };
};

/**
 * Builds the gateway of a function that computes answers: of `inference`, which serves clients, and of `job-worker`, which
 * works on batches.
 *
 * @param serviceName name of the service in metrics where the environment has none
 */
export function gatewayFrom(environment: NodeJS.ProcessEnv, serviceName: string): GatewayParts {
  const { policy, names, writeLine, connect, announce } = serviceFrom(environment, serviceName);
  const models = bedrockTargets(environment, policy.backends);
  const connection = connect();

  /** The index of questions, on a connection of its own: a search holds up what follows it on the same one. */
  function semanticPorts(timeoutMs: number): SemanticPorts {
    const searches = connect({ timeoutMs });
    const trip: Trip = (commands) => searches.trip(commands);
    const warn = (message: string) => {
      writeLine(JSON.stringify({ level: 'warn', message: 'semantic index', detail: message }));
    };
    return {
      index: new ValkeyIndex(trip, timeoutMs, new LocalIndex(Date.now), warn),
      vectors: vectorCache(trip),
    };
  }

  const gateway = new Gateway({
    policy,
    ...(policy.cache?.semantic && { semantic: semanticPorts(policy.cache.semantic.timeoutMs) }),
    store: new ValkeyStore((commands) => connection.trip(commands), Math.random, policy.cache),
    localStore: new LocalStore(Date.now, Math.random),
    callBackend: bedrockBackends(models, {
      send: httpBackends({ ...backendAddresses(environment, policy.backends), ...addressesOf(models) }),
      credentials: () => environmentCredentials(environment),
      now: Date.now,
    }),
    record: (record) => {
      writeLine(recordLine(record, names));
    },
    announce,
    now: Date.now,
    random: Math.random,
    pause: (ms) => pause(ms),
    timer,
    newId: randomUUID,
  });
  return { gateway, policy, names, writeLine };
}
