import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

/** What runs on the instances of a fleet: an OpenAI-compatible server in a container. */
export interface ModelServer {
  /**
   * The model to load: an id on the Hugging Face Hub, such as `Qwen/Qwen3-8B`, or a path inside the image.
   */
  readonly model: string;

  /**
   * Names under which the model answers: the values of a request's `model` field.
   *
   * @default - the value of `model`; a platform fills in the names of the policy's models that use the fleet
   */
  readonly servedModelNames?: string[];

  /**
   * Container image. Its entry point must take vLLM's arguments (`--model`, `--served-model-name`, `--port`,
   * `--ssl-keyfile`, `--ssl-certfile`). Pin the version that you tested.
   *
   * @default 'vllm/vllm-openai:v0.11.0'
   */
  readonly image?: string;

  /**
   * Further arguments of the server, such as `['--max-model-len', '8192']`.
   *
   * @default - none
   */
  readonly args?: string[];

  /**
   * Secret whose text is a Hugging Face token, for models behind a licence. The instances read it at boot.
   *
   * @default - none; the model is public
   */
  readonly huggingFaceToken?: secretsmanager.ISecret;
}
