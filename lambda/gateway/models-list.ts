import type { ResolvedModel } from '../../lib/policy/defaults';
import { ModelKind } from '../../lib/policy/model';
import { ApiError } from './api-error';

/** A model in OpenAI's shape. */
export interface ModelObject {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
}

/** The models that a client of the OpenAI protocol can put into a request: all but services, whose name is in the path. */
export function openAiModels(models: readonly ResolvedModel[]): readonly ResolvedModel[] {
  return models.filter(({ kind }) => kind !== ModelKind.SERVICE);
}

/** The answer to `GET /v1/models`. `since` is the time of the deployment, in milliseconds. */
export function listModels(models: readonly ResolvedModel[], since: number): { object: 'list'; data: ModelObject[] } {
  return { object: 'list', data: models.map((model) => modelObject(model, since)) };
}

/**
 * The answer to `GET /v1/models/{model}`.
 *
 * @throws ApiError 404 for an unknown model
 */
export function describeModel(models: readonly ResolvedModel[], name: string, since: number): ModelObject {
  const model = models.find((candidate) => candidate.name === name);
  if (!model) throw ApiError.modelNotFound(name.slice(0, 128));
  return modelObject(model, since);
}

function modelObject(model: ResolvedModel, since: number): ModelObject {
  return { id: model.name, object: 'model', created: Math.floor(since / 1000), owned_by: 'organization-owner' };
}
