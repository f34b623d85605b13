import { referenceIn, resourcesOf, type Template } from '../template';
import { GatewayError } from './gateway-response';
import { TokenBucket } from './token-bucket';

interface UsagePlan {
  readonly throttle?: { readonly rateLimit: number; readonly burstLimit: number };
  readonly quota?: { readonly limit: number; readonly period: string };
}

/** What a key has used. */
interface Usage {
  readonly plan: UsagePlan;
  readonly bucket?: TokenBucket;
  period: string;
  requests: number;
}

/** Counts each key's requests against its usage plan, as API Gateway does. */
export class UsagePlans {
  private readonly usage = new Map<string, Usage>();

  /**
   * @param keyIds the value of each key, with the logical id of its `AWS::ApiGateway::ApiKey`
   * @param now the time in milliseconds
   */
  public constructor(
    template: Template,
    keyIds: ReadonlyMap<string, string>,
    private readonly now: () => number,
  ) {
    const planOfKey = new Map(
      resourcesOf(template, 'AWS::ApiGateway::UsagePlanKey').map(([, { KeyId, UsagePlanId }]) => [
        referenceIn(KeyId),
        readPlan(template, referenceIn(UsagePlanId) ?? ''),
      ]),
    );
    for (const [key, keyId] of keyIds) {
      const plan = planOfKey.get(keyId);
      if (!plan) continue;
      const { throttle } = plan;
      this.usage.set(key, {
        plan,
        ...(throttle && { bucket: new TokenBucket(throttle.rateLimit, throttle.burstLimit, now()) }),
        period: '',
        requests: 0,
      });
    }
  }

  /**
   * Counts one request of a key.
   *
   * @throws GatewayError for a key without a plan, and for one that has spent its rate or its quota
   */
  public count(key: string | undefined): void {
    const usage = this.usage.get(key ?? '');
    if (!usage) throw new GatewayError('INVALID_API_KEY');
    const now = this.now();
    if (usage.bucket && !usage.bucket.take(now)) throw new GatewayError('THROTTLED');
    const { quota } = usage.plan;
    if (!quota) return;
    const period = periodOf(now, quota.period);
    if (period !== usage.period) Object.assign(usage, { period, requests: 0 });
    if (usage.requests >= quota.limit) throw new GatewayError('QUOTA_EXCEEDED');
    usage.requests += 1;
  }
}

function readPlan(template: Template, id: string): UsagePlan {
  const { Throttle: throttle, Quota: quota } = (template.Resources[id]?.Properties ?? {}) as {
    readonly Throttle?: { readonly RateLimit?: number; readonly BurstLimit?: number };
    readonly Quota?: { readonly Limit: number; readonly Period: string };
  };
  return {
    ...(throttle?.RateLimit !== undefined && {
      throttle: { rateLimit: throttle.RateLimit, burstLimit: throttle.BurstLimit ?? throttle.RateLimit },
    }),
    ...(quota && { quota: { limit: quota.Limit, period: quota.Period } }),
  };
}

/** Names the calendar period (UTC) that a time falls in; weeks begin on Sunday. */
function periodOf(nowMs: number, kind: string): string {
  const day = Math.floor(nowMs / 86_400_000);
  if (kind === 'MONTH') return new Date(nowMs).toISOString().slice(0, 7);
  // Day 0 of the epoch was a Thursday.
  return kind === 'WEEK' ? `week ${Math.floor((day + 4) / 7)}` : `day ${day}`;
}
