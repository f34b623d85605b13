import { ApiError } from '../gateway/api-error';

/** 400: something in the request is wrong, and a code says what. */
export function refused(code: string, message: string, param?: string): ApiError {
  return new ApiError({ status: 400, type: 'invalid_request_error', code, message, ...(param && { param }) });
}

/** 404: no such file, or none of this tenant: the two cannot be told apart. */
export function noSuchFile(id: string, param = 'id'): ApiError {
  return notFound(`No such File object: ${id.slice(0, 64)}`, param);
}

/** 404: no such batch or job, or none of this tenant. */
export function noSuchWork(kind: 'batch' | 'job', id: string): ApiError {
  return notFound(`No ${kind} found with id '${id.slice(0, 64)}'.`);
}

function notFound(message: string, param?: string): ApiError {
  return new ApiError({
    status: 404,
    type: 'invalid_request_error',
    code: 'not_found',
    message,
    ...(param && { param }),
  });
}
