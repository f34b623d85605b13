import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import { sha256 } from '../digest';
import type { DataRecord } from '../reading/source-record';
import { type Block, blocksOf } from './markdown-blocks';
import { RecordFault } from './work';

type ChunkWork = Extract<ResolvedWork, { kind: 'chunk' }>;

/** Bytes of UTF-8 in a token: safe on Chinese and code, as the gateway's own estimate. */
const BYTES_PER_TOKEN = 3.5;

/** Estimated tokens of a text. */
export function tokensOf(text: string): number {
  return Math.max(1, Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN));
}

/**
 * Cuts a document into pieces of at most `mostTokens`: along headings first, then blocks, then sentences, and within a
 * sentence only where it is too long by itself. A piece repeats the last whole sentences of the one before it under the same
 * heading, up to `overlapTokens`.
 *
 * A piece's id is made of the document's uri and the piece's own text, so that a change to one part of a document leaves the
 * ids of the others as they were.
 */
export function chunkDocument(
  record: DataRecord,
  settings: Pick<ChunkWork, 'mostTokens' | 'overlapTokens'>,
): DataRecord[] {
  const { uri, text } = record as { uri: string; text: string };
  const seen = new Map<string, number>();
  const pieces = piecesOf(text, record.mediaType !== 'text/plain', settings);
  if (pieces.length === 0) throw new RecordFault('has no text beside headings');
  return pieces.map(({ text: piece, heading }, position) => {
    const content = sha256(`${heading}\0${piece}`);
    const repeat = seen.get(content) ?? 0;
    seen.set(content, repeat + 1);
    const id = sha256(`${uri}\0${content}\0${repeat}`).slice(0, 32);
    return { ...record, id, text: piece, heading, position, tokens: tokensOf(piece) };
  });
}

interface Piece {
  readonly text: string;
  readonly heading: string;
}

function piecesOf(
  text: string,
  isMarkdown: boolean,
  { mostTokens, overlapTokens }: Pick<ChunkWork, 'mostTokens' | 'overlapTokens'>,
): Piece[] {
  const pieces: Piece[] = [];
  const most = Math.floor(mostTokens * BYTES_PER_TOKEN);
  const overlap = Math.floor(overlapTokens * BYTES_PER_TOKEN);
  let heading = '';
  let open = new OpenPiece(most);
  const close = (carry: boolean) => {
    const content = open.close();
    if (content !== undefined) pieces.push({ text: content, heading });
    const last = carry && content !== undefined ? lastSentences(content, overlap) : '';
    open = new OpenPiece(most, last);
  };
  for (const block of blocksOf(text, isMarkdown)) {
    if (block.heading !== heading) {
      close(false);
      heading = block.heading;
    }
    for (const [i, part] of partsOf(block, most).entries()) {
      const joint = i === 0 ? '\n\n' : block.isCode ? '\n' : ' ';
      if (!open.fits(part, joint)) close(!block.isCode);
      // What is carried over gives way to a part that needs the whole room.
      if (!open.fits(part, joint)) open = new OpenPiece(most);
      open.add(part, joint);
    }
  }
  close(false);
  return pieces;
}

/** The piece that is being filled. */
class OpenPiece {
  private text: string;
  private bytes: number;
  private isNew = true;

  constructor(
    private readonly most: number,
    carried = '',
  ) {
    this.text = carried;
    this.bytes = Buffer.byteLength(carried);
  }

  public fits(part: string, joint: string): boolean {
    return this.bytes + (this.text === '' ? 0 : joint.length) + Buffer.byteLength(part) <= this.most;
  }

  public add(part: string, joint: string): void {
    const added = this.text === '' ? part : joint + part;
    this.text += added;
    this.bytes += Buffer.byteLength(added);
    this.isNew = false;
  }

  /** Undefined where nothing was added to what was carried over. */
  public close(): string | undefined {
    return this.isNew || this.text.trim() === '' ? undefined : this.text;
  }
}

/** A block that is too large is cut at its lines or sentences, and one of those that is too large at words. */
function partsOf({ text, isCode }: Block, most: number): string[] {
  if (Buffer.byteLength(text) <= most) return [text];
  const parts = isCode ? text.split('\n') : sentencesOf(text);
  return parts.flatMap((part) => (Buffer.byteLength(part) <= most ? [part] : wordsWithin(part, most)));
}

/** Ends of sentences in the scripts that have them; a full stop between letters, as in a file name, is none. */
function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.!?]["')\]]?)\s+|(?<=[。！？])|\n+/u).filter((sentence) => sentence !== '');
}

function wordsWithin(text: string, most: number): string[] {
  const parts: string[] = [];
  let open = '';
  let bytes = 0;
  for (const word of text.split(/(?<=\s)/)) {
    const size = Buffer.byteLength(word);
    if (bytes + size <= most) {
      open += word;
      bytes += size;
      continue;
    }
    if (open.trim() !== '') parts.push(open.trimEnd());
    const slices = size <= most ? [word] : slicesOf(word, most);
    for (const slice of slices.slice(0, -1)) parts.push(slice);
    open = slices.at(-1)!;
    bytes = Buffer.byteLength(open);
  }
  if (open.trim() !== '') parts.push(open.trimEnd());
  return parts;
}

/** Cuts between characters, never within one. */
function slicesOf(word: string, most: number): string[] {
  const slices: string[] = [];
  let open = '';
  let bytes = 0;
  for (const character of word) {
    const size = Buffer.byteLength(character);
    if (bytes + size > most) {
      slices.push(open);
      open = '';
      bytes = 0;
    }
    open += character;
    bytes += size;
  }
  return [...slices, open];
}

function lastSentences(text: string, most: number): string {
  if (most === 0) return '';
  // No more of the text than may be carried is looked at.
  const sentences = sentencesOf(text.slice(-4 * most));
  let carried = '';
  for (const sentence of sentences.slice(1).reverse()) {
    const candidate = carried === '' ? sentence : `${sentence} ${carried}`;
    if (Buffer.byteLength(candidate) > most) break;
    carried = candidate;
  }
  return carried;
}
