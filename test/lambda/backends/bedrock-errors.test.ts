import { describe, expect, it } from '@jest/globals';
import { errorIn, statusOf } from '../../../lambda/backends/bedrock-errors';

describe('an error of Bedrock', () => {
  it.each([
    ['ValidationException', 400, 'messages: too long', 400],
    ['AccessDeniedException', 403, 'not authorized to perform bedrock:InvokeModel', 403],
    ['ResourceNotFoundException', 404, 'Model not found.', 403],
    ['FTUFormNotFilled', 404, 'use case details', 403],
    ['IncompleteSignature', 400, '', 403],
    ['NotAuthorized', 400, '', 403],
    ['ThrottlingException', 429, 'Too many tokens', 429],
    ['ServiceQuotaExceededException', 400, '', 429],
    ['ModelNotReadyException', 429, '', 503],
    ['ModelErrorException', 424, '', 502],
    ['ModelTimeoutException', 408, '', 408],
    ['ServiceUnavailableException', 503, '', 503],
    ['InternalServerException', 500, '', 500],
    [undefined, 400, 'bad request', 400],
    [undefined, 413, 'too large', 413],
    [undefined, 404, '', 403],
    [undefined, 504, '', 504],
    ['ValidationException', 400, 'The provided model identifier is invalid.', 403],
    ['ValidationException', 400, 'Invocation of model ID x with on-demand throughput isn’t supported.', 403],
    ['ValidationException', 400, "This action doesn't support the model that you provided.", 403],
  ])('%s, %s «%s» has the status %s', (type, status, message, expected) => {
    expect(statusOf({ ...(type && { type }), message }, status)).toBe(expected);
  });

  it.each([
    ['throttlingException', 429],
    ['validationException', 400],
    ['modelStreamErrorException', 502],
    ['internalServerException', 500],
    ['somethingNew', 500],
  ])('within a stream, %s, has the status %s', (type, expected) => {
    expect(statusOf({ type, message: '' })).toBe(expected);
  });

  it('has its name in a header or in its body, and its message in one of three places', () => {
    const header = { 'x-amzn-errortype': 'ThrottlingException:http://internal.amazon.com/' };
    expect(errorIn(header, '{"message":"slower"}')).toEqual({ type: 'ThrottlingException', message: 'slower' });
    expect(errorIn({}, '{"__type":"com.amazon#AccessDeniedException","Message":"no"}')).toEqual({
      type: 'AccessDeniedException',
      message: 'no',
    });
    expect(errorIn({}, '{"error":{"message":"bad","type":"x"}}')).toEqual({ message: 'bad' });
    expect(errorIn({}, '<html>')).toEqual({ message: '' });
  });
});
