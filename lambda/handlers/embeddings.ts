import { randomUUID } from 'node:crypto';
import { type InternalAnswer, type InternalCall, internalCall } from '../gateway/internal-call';
import { gatewayFrom, timer } from './parts/gateway-from-environment';

/** What is left to say that there is no answer. */
const SETTLE_MS = 2000;

const { gateway, policy } = gatewayFrom(process.env, 'embeddings');

/** Entry point of the platform's own parts: embeds texts as the gateway does, in the name of one of its tenants. */
export function handler(call: InternalCall, context: { getRemainingTimeInMillis(): number }): Promise<InternalAnswer> {
  return internalCall(call, {
    tenants: policy.tenants,
    serve: (event, client, priority) => gateway.serve(event, client, priority),
    mostMs: Math.max(0, context.getRemainingTimeInMillis() - SETTLE_MS),
    timer,
    newId: randomUUID,
  });
}
