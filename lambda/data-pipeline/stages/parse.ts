import type { ResolvedWork } from '../../../lib/policy/pipeline/pipeline-defaults';
import type { DataRecord } from '../reading/source-record';

type ParseWork = Extract<ResolvedWork, { kind: 'parse' }>;

const FRONT_MATTER = /^---[ \t]*\r?\n([^]*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/;
const MOST_TITLE = 200;

/** Takes front matter off a document and finds its title: in the front matter, the first heading, or the first line. */
export function parseDocument(record: DataRecord, { frontMatter }: Pick<ParseWork, 'frontMatter'>): DataRecord {
  const { uri, text } = record as { uri: string; text: string };
  const isMarkdown = record.mediaType === 'text/markdown' || /\.(?:md|markdown)$/i.test(uri);
  const matter = isMarkdown && frontMatter ? FRONT_MATTER.exec(text.slice(0, 65_536)) : null;
  const body = matter ? text.slice(matter[0].length) : text;
  const title =
    titleInMatter(matter?.[1]) ?? (isMarkdown ? titleInMarkdown(body) : undefined) ?? firstLine(body) ?? uri;
  return {
    ...record,
    text: body,
    title: startOf(title, MOST_TITLE),
    mediaType: isMarkdown ? 'text/markdown' : 'text/plain',
  };
}

function titleInMatter(matter: string | undefined): string | undefined {
  const value = matter === undefined ? undefined : /^title:[ \t]*(.+)$/m.exec(matter)?.[1]?.trim();
  const title = value?.replace(/^(["'])(.*)\1$/, '$2');
  return title === '' ? undefined : title;
}

/** The first heading outside of code, without its marks. */
function titleInMarkdown(text: string): string | undefined {
  let inCode = false;
  let before = '';
  for (const line of text.split(/\r?\n/, 200)) {
    if (/^\s{0,3}(?:```|~~~)/.test(line)) inCode = !inCode;
    if (inCode) continue;
    const heading =
      /^ {0,3}#{1,6}[ \t]+([^]*)$/.exec(line)?.[1] ?? (/^ {0,3}=+[ \t]*$/.test(line) ? before : undefined);
    const plain = heading === undefined ? '' : plainHeading(heading);
    if (plain !== '') return plain;
    before = line;
  }
  return undefined;
}

function firstLine(text: string): string | undefined {
  return startOf(text, 10_000)
    .split(/\r?\n/)
    .map((line) => line.trim())
    .find((line) => /[\p{L}\p{N}]/u.test(line));
}

/** A heading's words, without images, links and marks. */
export function plainHeading(heading: string): string {
  return startOf(heading, 1000)
    .replace(/!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])/g, '')
    .replace(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/<[^>]*>/g, '')
    .replace(/[*_`]+/g, '')
    .replace(/[ \t]#+[ \t]*$/, '')
    .trim();
}

/** The start of a text, at most so long, and with no half of a surrogate pair at its end. */
function startOf(text: string, most: number): string {
  const last = text.charCodeAt(most - 1);
  const isCutInPair = text.length > most && last >= 0xd800 && last < 0xdc00;
  return text.slice(0, isCutInPair ? most - 1 : most);
}
