import { isAbsent } from '../aws/condition';
import { ConditionFailed, type Table } from '../aws/table';
import type { Pointer, PointerStore } from '../data-pipeline/storage';

/** Digits of a sequence number, so that rows sort by it. */
const DIGITS = 12;

/** The pointer in DynamoDB: a row for each flip, of which the last counts. Two runs cannot both write the same one. */
export class TablePointers implements PointerStore {
  /** @param pipeline name of the pipeline, or of its index: the partition */
  public constructor(
    private readonly table: Table,
    private readonly pipeline: string,
  ) {}

  /** {@inheritDoc PointerStore.current} */
  public async current(): Promise<Pointer | undefined> {
    const query = { partition: { pipeline: this.pipeline }, descending: true, limit: 1, consistent: true };
    const { rows } = await this.table.page(query);
    return rows[0] && pointerOf(rows[0]);
  }

  /** {@inheritDoc PointerStore.history} */
  public async history(): Promise<Pointer[]> {
    const pointers: Pointer[] = [];
    for await (const row of this.table.query({ partition: { pipeline: this.pipeline }, consistent: true })) {
      pointers.push(pointerOf(row));
    }
    return pointers;
  }

  /** {@inheritDoc PointerStore.flip} */
  public async flip({ sequence, embedding, ...pointer }: Pointer): Promise<boolean> {
    const row = {
      pipeline: this.pipeline,
      sequence: String(sequence).padStart(DIGITS, '0'),
      ...pointer,
      ...(embedding && { embedding: { ...embedding } }),
    };
    try {
      await this.table.put(row, isAbsent('pipeline'));
      return true;
    } catch (error) {
      if (error instanceof ConditionFailed) return false;
      throw error;
    }
  }
}

function pointerOf(row: Readonly<Record<string, unknown>>): Pointer {
  const { sequence, version, index, embedding, reason } = row as unknown as Omit<Pointer, 'sequence'> & {
    sequence: string;
  };
  const held = { ...(index !== undefined && { index }), ...(embedding && { embedding }) };
  return { sequence: Number(sequence), version, ...held, reason };
}
