import { type HttpEvent, isRecord } from '../../gateway/http-event';
import type { ItemMessage } from '../item';
import { parsedLine } from '../line-json';
import type { ItemFault } from '../result-line';

/** What an item asks for. */
export interface ItemRequest {
  readonly customId: string | null;
  /** The model that the client named; of a service, its path. What is refused for one item is refused for others of it. */
  readonly model: string;
  /** The request as the gateway takes it. */
  readonly event: HttpEvent;
}

/**
 * Reads an item's line. It was checked when the file was split; what is wrong with it now was changed since.
 *
 * @param requestId id of the request, unique
 */
export function itemRequest(
  { tenant, plan }: Pick<ItemMessage, 'tenant' | 'plan'>,
  bytes: Uint8Array,
  requestId: string,
): ItemRequest | { readonly customId: string | null; readonly fault: ItemFault } {
  const line = parsedLine(bytes);
  const customId = isRecord(line) && typeof line.custom_id === 'string' ? line.custom_id : null;
  if (!isRecord(line) || typeof line.url !== 'string' || !isRecord(line.body)) {
    const message = 'The line is no request any more: the input was changed after the batch was begun.';
    return { customId, fault: { code: 'invalid_json_line', message } };
  }
  const { url, body } = line;
  return {
    customId,
    model: typeof body.model === 'string' ? body.model : url,
    event: {
      httpMethod: 'POST',
      path: url,
      headers: null,
      body: JSON.stringify(unstreamed(body)),
      isBase64Encoded: false,
      requestContext: { requestId, authorizer: { tenant, plan } },
    },
  };
}

/** Nobody watches an answer come in: it is wanted whole. */
function unstreamed({ stream, stream_options: options, ...body }: Record<string, unknown>): Record<string, unknown> {
  if (stream !== true)
    return {
      ...body,
      ...(stream !== undefined && { stream }),
      ...(options !== undefined && { stream_options: options }),
    };
  return body;
}
