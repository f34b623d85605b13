/** What a file is for: requests of a client, or results that the platform wrote. */
export type FilePurpose = 'batch' | 'batch_output';

/** A file of a tenant. Times are whole seconds since 1970, as clients see them. */
export interface FileRecord {
  readonly id: string;
  readonly tenant: string;
  readonly purpose: FilePurpose;
  readonly filename: string;
  /** Its size; while it is awaited, the size that the client announced. */
  readonly bytes: number;
  /** Awaited by a presigned upload, or there. */
  readonly status: 'pending' | 'uploaded';
  readonly createdAt: number;
  /** When it is forgotten. */
  readonly expiresAt: number;
}

/** A file in OpenAI's shape. */
export interface FileObject {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  readonly created_at: number;
  readonly expires_at: number;
  readonly filename: string;
  readonly purpose: FilePurpose;
  readonly status: 'pending' | 'uploaded' | 'error';
  readonly status_details?: string;
}

/** A file as clients see it. `found` is the size of an upload that is not what was announced. */
export function fileObject(file: FileRecord, found?: number): FileObject {
  const { id, bytes, createdAt, expiresAt, filename, purpose, status } = file;
  const object: FileObject = {
    ...{ id, object: 'file', bytes, created_at: createdAt, expires_at: expiresAt, filename, purpose, status },
  };
  return found === undefined ? object : { ...object, status: 'error', status_details: sizeFault(file, found) };
}

/** What is wrong with an upload of another size than announced. */
export function sizeFault({ bytes }: Pick<FileRecord, 'bytes'>, found: number): string {
  return `${found} bytes were uploaded, ${bytes} were announced.`;
}

/** Where a file stands in the bucket. */
export function fileKey({ tenant, id }: Pick<FileRecord, 'tenant' | 'id'>): string {
  return `files/${tenant}/${id}`;
}
