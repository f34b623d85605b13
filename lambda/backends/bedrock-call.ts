import type { BackendAnswer } from '../gateway/backend-port';

/** How a chat is sent to Bedrock, and what its answer is in the OpenAI protocol. */
export interface BedrockCall {
  /** Path below the origin, its parts escaped. */
  readonly path: string;
  readonly body: string;
  /** Field of the client's request that only some models of Bedrock take: what such a model refuses, another may do. */
  readonly dependsOnModel?: string;
  translate(answer: BackendAnswer): Promise<BackendAnswer>;
}
