import { plainHeading } from './parse';

/** A paragraph, list, table or code block, with the headings above it. */
export interface Block {
  readonly text: string;
  /** Headings from the outermost in, joined by ` > `. */
  readonly heading: string;
  readonly isCode: boolean;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** The rest of the line is taken whole: a form that may fail at its end would be tried again from each blank before it. */
const HEADING = /^ {0,3}(#{1,6})[ \t]+([^]*)$/;
const UNDERLINE = /^ {0,3}(=+|-{2,})[ \t]*$/;

/** The blocks of a text, in order. Plain text has paragraphs only. */
export function* blocksOf(text: string, isMarkdown: boolean): Generator<Block> {
  const headings: { level: number; title: string }[] = [];
  let lines: string[] = [];
  let fence: string | undefined;
  const path = () => headings.map(({ title }) => title).join(' > ');
  const block = (isCode: boolean): Block[] => {
    const content = lines.join('\n').replace(/^\n+/, '').trimEnd();
    lines = [];
    return content.trim() === '' ? [] : [{ text: content, heading: path(), isCode }];
  };
  const enter = (level: number, title: string) => {
    while ((headings.at(-1)?.level ?? 0) >= level) headings.pop();
    if (title !== '') headings.push({ level, title });
  };
  for (const line of text.split(/\r?\n/)) {
    if (fence !== undefined) {
      lines.push(line);
      const mark = FENCE.exec(line)?.[1];
      if (mark?.startsWith(fence) && line.trim() === mark) {
        fence = undefined;
        yield* block(true);
      }
      continue;
    }
    if (isMarkdown) {
      const mark = FENCE.exec(line)?.[1];
      if (mark !== undefined) {
        yield* block(false);
        fence = mark;
        lines.push(line);
        continue;
      }
      const [, marks, title] = HEADING.exec(line) ?? [];
      if (marks !== undefined && title !== undefined) {
        yield* block(false);
        enter(marks.length, plainHeading(title));
        continue;
      }
      const underline = UNDERLINE.exec(line)?.[1];
      if (underline !== undefined && lines.length === 1 && /\S/.test(lines[0]!)) {
        const [above] = lines as [string];
        lines = [];
        enter(underline.startsWith('=') ? 1 : 2, plainHeading(above));
        continue;
      }
    }
    if (line.trim() === '') yield* block(false);
    else lines.push(line);
  }
  yield* block(fence !== undefined);
}
