import type { ResolvedPlan } from '../../lib/policy/defaults';
import { StoreLoss } from '../../lib/policy/policy';
import { ApiError } from './api-error';
import type { GatewayPorts } from './ports';
import { type Admission, type AdmitRequest, type RequestStore, StoreLost } from './request-store';

/** An admission and the store that gave it, with which it is settled. */
export interface Admitted {
  readonly admission: Admission;
  readonly store: RequestStore;
}

/**
 * Asks the shared store, or this process where that is lost.
 *
 * @throws ApiError 503 where the store is lost and the policy lets nothing run uncounted
 */
export async function admitSomewhere(
  request: AdmitRequest,
  { store, localStore, policy }: Pick<GatewayPorts, 'store' | 'localStore' | 'policy'>,
): Promise<Admitted> {
  try {
    const admission = await store.admit(request);
    localStore.observe(admission.backends);
    return { admission, store };
  } catch (error) {
    if (!(error instanceof StoreLost)) throw error;
    if (policy.onStoreLoss === StoreLoss.REJECT) {
      throw ApiError.unavailable('Usage cannot be counted at the moment. Try again shortly.', 'store_unavailable');
    }
    return { admission: await localStore.admit(request), store: localStore };
  }
}

/** The error of a request that found a limit spent. */
export function limitError(plan: ResolvedPlan, { refusedBy, retryAfterMs }: Admission): ApiError {
  const say = (limit: string, type: 'requests' | 'tokens') => {
    const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
    const wait = seconds < 7200 ? `${seconds} s` : `${Math.ceil(seconds / 3600)} h`;
    return ApiError.rateLimited(type, `Rate limit reached: ${limit}. Please try again in ${wait}.`, retryAfterMs);
  };
  const model = refusedBy && 'model' in refusedBy ? refusedBy.model : undefined;
  const limits = plan.modelLimits?.find((own) => own.model === model) ?? plan;
  const of = model === undefined ? '' : ` for the model ${model}`;
  switch (refusedBy?.limit) {
    case 'tokens':
      return say(`${limits.tokensPerMinute} tokens per minute${of}`, 'tokens');
    case 'tokensPerDay':
      return say(`${limits.tokensPerDay} tokens per day${of}`, 'tokens');
    case 'parallel':
      return say(`${plan.parallelRequests} requests at the same time`, 'requests');
    case 'capacity':
      return say('the model is busy, and your share of it is in use', 'requests');
    case 'money':
      return ApiError.quotaSpent(`The budget of this month, ${plan.moneyPerMonth}, is spent.`, retryAfterMs);
    case 'requests':
    case undefined:
      return say(`${limits.requestsPerMinute} requests per minute${of}`, 'requests');
  }
}
