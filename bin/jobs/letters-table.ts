import { duration } from '../simulate/summary-table';
import type { SeenLetter } from './redrive';

const HEAD = ['tenant', 'batch or job', 'reason', 'letters', 'oldest', ''] as const;

/**
 * Dead letters in lines: one for each tenant, batch, reason and fate, the most first.
 *
 * @param fates words for what became of those that are meant and of the others; '' prints nothing
 */
export function lettersTable(
  letters: readonly SeenLetter[],
  fates: Readonly<Record<'chosen' | 'left', string>>,
  now: number,
): string {
  const groups = new Map<string, { readonly first: SeenLetter; count: number; oldest: number }>();
  for (const letter of letters) {
    const key = JSON.stringify([letter.tenant, letter.batch, letter.reason, letter.fate, letter.why]);
    const group = groups.get(key) ?? { first: letter, count: 0, oldest: letter.sentAt };
    groups.set(key, { ...group, count: group.count + 1, oldest: Math.min(group.oldest, letter.sentAt) });
  }
  const rows = [...groups.values()]
    .sort((a, b) => b.count - a.count || (a.first.batch < b.first.batch ? -1 : 1))
    .map(({ first: { tenant, batch, reason, fate, why }, count, oldest }) => {
      const told = fate === 'dropped' ? `left: ${why ?? ''}` : fates[fate];
      return [tenant, batch, reason, String(count), duration((now - oldest) / 1000), told];
    });
  const table = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 3 || i === 4 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ');
  return table.map((row) => `  ${line(row).trimEnd()}\n`).join('');
}
