import { readFileSync } from 'node:fs';
import { UserError } from '../user-error';

/** A CSV file of plain values, without quotes, read column by column. */
export interface CsvTable {
  readonly file: string;
  readonly columns: readonly string[];
  readonly rowCount: number;
  /** Reads one column. `read` gives undefined for a value that it cannot take; `expected` completes «must be». */
  column(name: string, expected: string, read: (text: string) => number | undefined): Float64Array;
}

/**
 * Reads a CSV file whose first line names the columns.
 *
 * @throws UserError that names file, line and column
 */
export function readCsv(file: string): CsvTable {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
  return parseCsv(file, text);
}

/** Reads the text of a CSV file; `file` is for errors. */
export function parseCsv(file: string, text: string): CsvTable {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  while (lines.length > 0 && lines.at(-1)?.trim() === '') lines.pop();
  const [header, ...rows] = lines;
  if (header === undefined) throw new UserError(`${file}: is empty; its first line must name the columns`);
  const columns = header.split(',').map((name) => name.trim());
  if (rows.length === 0) throw new UserError(`${file}: has no row below its first line`);
  const cells = rows.map((row, index) => {
    const values = row.split(',');
    if (values.length !== columns.length) {
      const found = row.trim() === '' ? 'an empty line' : count(values.length, 'value');
      throw new UserError(`${file}, line ${index + 2}: must have ${count(columns.length, 'value')}, got ${found}`);
    }
    return values;
  });
  return {
    file,
    columns,
    rowCount: rows.length,
    column: (name, expected, read) => {
      const at = columns.indexOf(name);
      if (at < 0) throw new UserError(`${file}, line 1: has no column ${name}; it has ${columns.join(', ')}`);
      return Float64Array.from(cells, (values, row) => {
        const value = values[at]!.trim();
        const number = read(value);
        if (number !== undefined) return number;
        const found = value === '' ? 'nothing' : JSON.stringify(value.slice(0, 40));
        throw new UserError(`${file}, line ${row + 2}, column ${name}: must be ${expected}, got ${found}`);
      });
    },
  };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** A finite number in decimal notation. */
export function decimal(text: string): number | undefined {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined;
}
