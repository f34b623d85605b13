import type { ResolvedModel, ResolvedPlan } from '../../lib/policy/defaults';
import { ApiError } from '../gateway/api-error';
import { isRecord } from '../gateway/http-event';
import { mustFitPlan, parseInferenceRequest } from '../gateway/inference-request';
import { isNestedDeeperThan, MAX_LEVELS } from '../gateway/nesting';
import { parseServiceRequest } from '../gateway/service-request';
import { targetOf } from '../gateway/target';
import { parsedLine } from './line-json';
import type { Line } from './line-reader';
import type { ItemFault } from './result-line';
import type { SeenIds } from './seen-ids';

/** What lines are held against. */
export interface LineRules {
  /** Path of the batch, such as `/v1/chat/completions`. */
  readonly endpoint: string;
  readonly plan: ResolvedPlan;
  /** The models of the plan. */
  readonly models: readonly ResolvedModel[];
  readonly maxLineBytes: number;
}

/** What a line was found to be. */
export type CheckedLine =
  | { readonly model: string; readonly customId: string }
  | { readonly customId: string | null; readonly fault: ItemFault };

type Body = Readonly<Record<string, unknown>>;

/** What the paths of calls have as their model. */
export type RequestCheck = (body: Body) => { readonly model: string };

/** OpenAI's own limit is not written down; 512 is that of a metadata value. */
const MOST_ID_CHARACTERS = 512;

/** Checks the lines of one batch, one after the other. */
export class LineChecker {
  private readonly check: RequestCheck;

  /**
   * @throws ApiError 404 for an endpoint that is none
   */
  constructor(
    private readonly rules: LineRules,
    private readonly seen: SeenIds,
  ) {
    this.check = requestCheck(rules);
  }

  /** Notes the id of a line that was checked before, so that a later line with the same id is found. */
  public recall({ bytes }: Line): void {
    const request = bytes && parsedLine(bytes);
    if (isRecord(request) && isCustomId(request.custom_id)) this.seen.add(request.custom_id);
  }

  /** What a line is, and what is wrong with it. */
  public inspect(line: Line): CheckedLine {
    const { maxLineBytes, endpoint } = this.rules;
    if (!line.bytes) {
      const message = `Line ${line.number} has ${line.length} bytes; the most is ${maxLineBytes}.`;
      return { customId: null, fault: { code: 'line_too_long', message } };
    }
    const request = parsedLine(line.bytes);
    if (!isRecord(request)) {
      const message = `Line ${line.number} is not parseable as a JSON object. A batch has one on each line.`;
      return { customId: null, fault: { code: 'invalid_json_line', message } };
    }
    const { custom_id: customId, method, url, body } = request;
    if (!isCustomId(customId)) {
      const message =
        customId === undefined
          ? `Line ${line.number} has no custom_id.`
          : `Line ${line.number}: custom_id must be a string of 1 to ${MOST_ID_CHARACTERS} characters.`;
      return { customId: null, fault: { ...missingOr(customId, 'invalid_custom_id'), message, param: 'custom_id' } };
    }
    const faultOf = (code: string, message: string, param: string): CheckedLine => ({
      customId,
      fault: { code, message: `Line ${line.number}: ${message}`, param },
    });
    if (!this.seen.add(customId)) {
      return faultOf('duplicate_custom_id', 'another line before it has the same custom_id.', 'custom_id');
    }
    if (method !== 'POST') {
      return faultOf(missingOr(method, 'invalid_method').code, 'method must be POST.', 'method');
    }
    if (url !== endpoint) {
      const message = `url must be the endpoint of the batch, ${endpoint}.`;
      return faultOf(missingOr(url, 'invalid_url').code, message, 'url');
    }
    if (!isRecord(body)) {
      return faultOf(missingOr(body, 'invalid_body').code, 'body must be a JSON object.', 'body');
    }
    try {
      return { customId, model: this.check(body).model };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { code, param, message } = error.body.error;
      return faultOf(code ?? 'invalid_request', message, param === null ? 'body' : `body.${param}`);
    }
  }
}

/**
 * The check of the bodies that go to a path: the same that an interactive request passes.
 *
 * @throws ApiError for a path that computes nothing; the check, for a body that would be refused
 */
export function requestCheck({ endpoint, plan, models }: Omit<LineRules, 'maxLineBytes'>): RequestCheck {
  const target = targetOf('POST', endpoint);
  return (body) => {
    if (isNestedDeeperThan(MAX_LEVELS, body)) {
      throw ApiError.invalidRequest(`The body is nested on more than ${MAX_LEVELS} levels.`);
    }
    if (target.kind !== 'compute' && target.kind !== 'callService') throw ApiError.unknownPath('POST', endpoint);
    const request =
      target.kind === 'compute'
        ? parseInferenceRequest(target.endpoint, body, models)
        : parseServiceRequest(target.service, body, models);
    mustFitPlan(request, plan);
    return { model: request.model.name };
  };
}

/** The custom id of a line that has no result; null where it has none that can be read. */
export function customIdOf(bytes: Uint8Array | undefined): string | null {
  const request = bytes && parsedLine(bytes);
  return isRecord(request) && isCustomId(request.custom_id) ? request.custom_id : null;
}

function isCustomId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MOST_ID_CHARACTERS;
}

function missingOr(value: unknown, code: string): { readonly code: string } {
  return { code: value === undefined ? 'missing_required_parameter' : code };
}
