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
    return { admission: await store.admit(request), store };
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
    const wait = `${Math.max(1, Math.ceil(retryAfterMs / 1000))} s`;
    return ApiError.rateLimited(type, `Rate limit reached: ${limit}. Please try again in ${wait}.`, retryAfterMs);
  };
  switch (refusedBy) {
    case 'tokens':
      return say(`${plan.tokensPerMinute} tokens per minute`, 'tokens');
    case 'tokensPerDay':
      return say(`${plan.tokensPerDay} tokens per day`, 'tokens');
    case 'parallel':
      return say(`${plan.parallelRequests} requests at the same time`, 'requests');
    case 'requests':
    case undefined:
      return say(`${plan.requestsPerMinute} requests per minute`, 'requests');
  }
}
