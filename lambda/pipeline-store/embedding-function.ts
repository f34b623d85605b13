import { setTimeout as sleep } from 'node:timers/promises';
import type { ResolvedWork } from '../../lib/policy/pipeline/pipeline-defaults';
import type { AwsService } from '../aws/service';
import { embeddingClient, type EndpointAnswer } from '../data-pipeline/stages/embedding-client';
import type { InternalCall } from '../gateway/internal-call';
import { invoke } from './function-call';

/** Embeds texts by the platform's own function, as one of its tenants: no key and no address that is open to the world. */
export function embeddingsBy(
  service: AwsService,
  functionArn: string,
  caller: Pick<InternalCall, 'tenant' | 'priority'>,
  work: Extract<ResolvedWork, { kind: 'embed' }>,
): (texts: readonly string[]) => Promise<number[][]> {
  const post = async (body: string): Promise<EndpointAnswer> => {
    const request = JSON.parse(body) as InternalCall['request'];
    return (await invoke(service, functionArn, { ...caller, request })) as EndpointAnswer;
  };
  const dimensions = work.requestDimensions ? { dimensions: work.dimensions } : {};
  const request = { model: work.model, ...dimensions, attempts: work.attempts };
  return embeddingClient(request, { post, sleep: (ms) => sleep(ms), random: Math.random });
}
