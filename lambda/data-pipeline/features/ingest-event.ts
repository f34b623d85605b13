import { isRecord, show } from '../../../lib/policy/fields';

/**
 * The records of an event: `{"records": [...]}` from whoever invokes the function, or a batch of a queue, each of whose
 * messages is one record or a list of them. A message that is no JSON is a record that will be refused, with its text: it
 * must not hold up the messages beside it.
 *
 * @throws where the event is neither
 */
export function recordsOf(event: unknown): readonly unknown[] {
  if (isRecord(event) && Array.isArray(event.records)) return event.records;
  if (isRecord(event) && Array.isArray(event.Records)) return event.Records.flatMap(ofMessage);
  throw new Error(`the event must be {"records": [...]} or a batch of a queue, got ${show(event)}`);
}

function ofMessage(message: unknown): unknown[] {
  const { body } = message as { readonly body?: unknown };
  if (typeof body !== 'string') throw new Error('the event must be a batch of a queue: a message has no body');
  try {
    const parsed = JSON.parse(body) as unknown;
    return Array.isArray(parsed) ? parsed : [parsed];
  } catch {
    return [body];
  }
}
