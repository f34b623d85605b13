import { createHash } from 'node:crypto';
import type { MessageAttributes } from './message-queue';

/** The digest by which SQS's clients check that a message's text arrived. */
export function bodyDigest(body: string): string {
  return createHash('md5').update(body).digest('hex');
}

/** The digest of message attributes: names in order, each part behind its length. */
export function attributesDigest(attributes: MessageAttributes): string {
  const hash = createHash('md5');
  const add = (part: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    hash.update(length).update(part);
  };
  for (const name of Object.keys(attributes).sort()) {
    const { DataType, StringValue, BinaryValue } = attributes[name]!;
    add(Buffer.from(name));
    add(Buffer.from(DataType));
    hash.update(Buffer.from([DataType.startsWith('Binary') ? 2 : 1]));
    add(StringValue === undefined ? Buffer.from(BinaryValue ?? '', 'base64') : Buffer.from(StringValue));
  }
  return hash.digest('hex');
}
