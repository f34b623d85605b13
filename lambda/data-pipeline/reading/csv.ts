import { type DataRecord, ReadingFault } from './source-record';

/**
 * The values of one line of CSV (RFC 4180). A value in quotes may hold commas and doubled quotes, but no line end, so that a
 * file can be read from the middle: a quote that is left open is a fault of its line alone.
 */
export function csvValues(line: string): string[] | ReadingFault {
  if (!line.includes('"')) return line.split(',');
  const values: string[] = [];
  let at = 0;
  for (;;) {
    if (line[at] !== '"') {
      const comma = line.indexOf(',', at);
      const value = comma < 0 ? line.slice(at) : line.slice(at, comma);
      if (value.includes('"')) return new ReadingFault('csv', 'has a quote within a value that is not in quotes');
      values.push(value);
      if (comma < 0) return values;
      at = comma + 1;
      continue;
    }
    let value = '';
    for (;;) {
      const quote = line.indexOf('"', at + 1);
      if (quote < 0) return new ReadingFault('csv', 'has a quote that does not end on its line');
      value += line.slice(at + 1, quote);
      at = quote + 1;
      if (line[at] !== '"') break;
      value += '"';
    }
    values.push(value);
    if (at === line.length) return values;
    if (line[at] !== ',') return new ReadingFault('csv', 'has text behind the end of a quoted value');
    at++;
  }
}

/** The names of the columns, from the first line of a file. */
export function csvColumns(header: string): string[] | ReadingFault {
  if (header.includes('\r')) return new ReadingFault('csv', 'has a carriage return without a line feed');
  const values = csvValues(header);
  if (values instanceof ReadingFault) return values;
  const columns = values.map((name) => name.trim());
  const nameless = columns.indexOf('');
  if (nameless >= 0) return new ReadingFault('csv', `has no name for column ${nameless + 1}`);
  const twice = columns.findIndex((name, i) => columns.indexOf(name) < i);
  if (twice < 0) return columns;
  return new ReadingFault('csv', `names columns ${columns.indexOf(columns[twice]!) + 1} and ${twice + 1} alike`);
}

/** The record of a line: the values that are not empty, by the names of the columns. */
export function recordFromCsv(columns: readonly string[], line: string): DataRecord | ReadingFault {
  if (line.trim() === '') return new ReadingFault('empty', 'is an empty line');
  const values = csvValues(line);
  if (values instanceof ReadingFault) return values;
  if (values.length !== columns.length) {
    return new ReadingFault('csv', `has ${values.length} values, where ${columns.length} columns are named`);
  }
  return Object.fromEntries(columns.flatMap((name, i) => (values[i] === '' ? [] : [[name, values[i]]])));
}
