import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

/** What a model does, and so what it is asked to show that it is ready. */
export enum ModelTask {
  /** Writes text: asked for one token. */
  GENERATE = 'generate',
  /** Makes vectors of text: asked for one. */
  EMBED = 'embed',
  /** Something else: asked whether it is well, at `/health`. */
  OTHER = 'other',
}

/** What runs on the instances of a fleet: an OpenAI-compatible server in a container. */
export interface ModelServer {
  /**
   * The model to load: an id on the Hugging Face Hub, such as `Qwen/Qwen3-8B`, or a path inside the image. With
   * `weightsBucket`, the name of what lies there.
   */
  readonly model: string;

  /**
   * Names under which the model answers: the values of a request's `model` field.
   *
   * @default - the value of `model`; a platform fills in the names of the policy's models that use the fleet
   */
  readonly servedModelNames?: string[];

  /**
   * What the model does. An instance is in service once it has done it.
   *
   * @default ModelTask.GENERATE - a platform takes it from the kind of the policy's models
   */
  readonly task?: ModelTask;

  /**
   * Container image. Its entry point must take vLLM's arguments (`--model`, `--served-model-name`, `--port`,
   * `--ssl-keyfile`, `--ssl-certfile`). Pin the version that you tested.
   *
   * In a private registry of ECR, such as `repository.repositoryUriForTag('1')`: the instances may pull from that
   * repository, and log in. Where the whole address is known at deployment only, grant it: `repository.grantPull(fleet)`.
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
   * Input tokens of one request that a step computes at most, at least 1: vLLM's `--long-prefill-token-threshold`. The
   * rest of a step is for the requests behind it, so that a long input does not hold up short ones.
   *
   * @default 512 with the default image and a model that writes text - with another, what its server does
   */
  readonly longInputTokens?: number;

  /**
   * Bucket with the weights, in the fleet's region. The instances may read `weightsPrefix` of it, and copy that to a disk
   * of their own before the server starts.
   *
   * @default - the server loads `model` itself, from the Hub or from its image
   */
  readonly weightsBucket?: s3.IBucket;

  /**
   * Folder of the weights in `weightsBucket`, with a slash at its end, such as `qwen3-8b/v1/`.
   *
   * @default - the whole bucket
   */
  readonly weightsPrefix?: string;

  /**
   * Secret whose text is a Hugging Face token, for models behind a licence. The instances read it at boot.
   *
   * @default - none; the model is public
   */
  readonly huggingFaceToken?: secretsmanager.ISecret;
}
