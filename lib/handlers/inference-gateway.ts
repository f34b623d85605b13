import type * as apigateway from 'aws-cdk-lib/aws-apigateway';
import type { IConstruct } from 'constructs';
import type { HandlerFunction } from './handler-function';
import type { ModelAccess } from './model-access';

/** A route of the gateway's API that a function of another part answers. */
export interface ApiRoute {
  /** Method, such as `POST`. */
  readonly method: string;

  /** Path from the root, such as `/v1/batches/{batch}`. */
  readonly path: string;

  /**
   * What API Gateway checks a JSON body against before the function runs; its `title` is the name of the model.
   *
   * @default - nothing
   */
  readonly schema?: apigateway.JsonSchema;

  /**
   * Media types of bodies that are not text, such as `multipart/form-data`: the function gets them as base64. They hold
   * for the whole API.
   *
   * @default - none
   */
  readonly binaryMediaTypes?: string[];
}

/** The gateway, as other parts build on it. `InferenceApi` is one. */
export interface IInferenceGateway extends IConstruct {
  /** How functions compute answers as the gateway's own function does. */
  readonly models: ModelAccess;

  /**
   * Has a function answer routes of the API, for the same callers under the same usage plans, and streamed.
   *
   * @param handler a function of the API's own stack
   * @param routes the routes
   */
  addRoutes(handler: HandlerFunction, routes: ApiRoute[]): void;
}
