import type { ResolvedModel, ResolvedPlan } from '../../lib/policy/defaults';
import { ApiError } from './api-error';
import type { HttpEvent } from './http-event';

/** Who calls, as the authorizer found out. */
export interface Caller {
  readonly tenant: string;
  readonly plan: ResolvedPlan;
  readonly principal?: string;
}

/**
 * The authorizer has let the caller in; a plan that the policy does not know yet or any more lets nobody compute.
 *
 * @param now milliseconds since 1970
 * @throws ApiError 401 or 403 for one who may not call, or not any more
 */
export function callerOf(event: HttpEvent, plans: readonly ResolvedPlan[], now: number): Caller {
  const { tenant, plan: name, expiresAt, principal } = event.requestContext.authorizer ?? {};
  if (!tenant || !name) throw ApiError.unauthenticated();
  // API Gateway remembers the authorizer's answer for minutes, and knows no end of a token.
  if (expiresAt !== undefined && !(Number(expiresAt) > now)) throw ApiError.tokenExpired();
  const plan = plans.find((candidate) => candidate.name === name);
  if (!plan) throw ApiError.forbidden(`The plan ${name} of this key is not served here.`);
  return { tenant, plan, principal };
}

/** The models that exist for a plan. Any other is as unknown to its tenants as a misspelt one. */
export function modelsOf(
  plan: Pick<ResolvedPlan, 'models'>,
  models: readonly ResolvedModel[],
): readonly ResolvedModel[] {
  return plan.models ? models.filter(({ name }) => plan.models?.includes(name)) : models;
}
