import type { ItemOutcome, ItemRef, ResultLine } from './item';

/** Why an item has no answer. */
export interface ItemFault {
  /** In OpenAI's words where it has one, such as `invalid_json_line`. */
  readonly code: string;
  readonly message: string;
  /** The field at fault, such as `body.messages`. */
  readonly param?: string;
}

/** An item's result has the same id however often it is computed. */
export function resultId({ batchId, line }: Pick<ItemRef, 'batchId' | 'line'>): string {
  return `batch_req_${batchId.slice(batchId.indexOf('_') + 1)}${String(line).padStart(7, '0')}`;
}

/** The result of an item that the model answered, with whatever status. */
export function answeredLine(
  item: Pick<ItemRef, 'batchId' | 'line'>,
  customId: string | null,
  response: NonNullable<ResultLine['response']>,
): ResultLine {
  return { id: resultId(item), custom_id: customId, response, error: null };
}

/** The result of an item that was not answered. */
export function faultLine(
  item: Pick<ItemRef, 'batchId' | 'line'>,
  customId: string | null,
  { code, message, param }: ItemFault,
): ResultLine {
  const error = { code, message, line: item.line, ...(param !== undefined && { param }) };
  return { id: resultId(item), custom_id: customId, response: null, error };
}

/** How a result counts: with an answer of status 200 as completed, with anything else as failed. */
export function outcomeOf({ response }: Pick<ResultLine, 'response'>): Exclude<ItemOutcome, 'skipped'> {
  return response?.status_code === 200 ? 'completed' : 'failed';
}
