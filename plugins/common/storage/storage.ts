/** What every storage can do. Local folders, S3 and SFTP do it alike: one suite of tests holds for all of them. */

/** An object as the storage describes it. */
export interface StoredObject {
  /** Relative to the storage's root, folders parted by `/`. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly modified: Date;
  /** S3's own tag of the content, without its quotes. */
  readonly etag?: string;
  /** Hexadecimal SHA-256 of the stored bytes, where the storage knows it without reading them. */
  readonly sha256?: string;
}

/** What a `put` wrote; the checksum is that of the bytes which were sent. */
export interface PutResult extends StoredObject {
  readonly sha256: string;
}

/** Bytes, a stream of bytes, or a file of this machine. */
export type Content = Uint8Array | AsyncIterable<Uint8Array> | { readonly file: string };

export interface OperationOptions {
  /** Ends the operation; what it throws then is the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface PutOptions extends OperationOptions {
  /** The exact size where it is known: content of another size is refused and nothing is stored. */
  readonly sizeBytes?: number;
  /** Refuses to replace an object. @see StorageErrorKind `exists` */
  readonly ifAbsent?: boolean;
}

/** Bytes `start` (from 0) up to `end`, which is left out; without `end`, to the end of the object. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

export interface GetOptions extends OperationOptions {
  /** A range that begins at or behind the object's end gives nothing; one that ends behind it gives what there is. */
  readonly range?: ByteRange;
}

export interface Download {
  readonly object: StoredObject;
  /** Bytes that `stream` will give; of the range, where one was asked for. */
  readonly sizeBytes: number;
  /**
   * Must be read to its end or cancelled: it holds a file or a connection. Fails with `unavailable` where it would end early,
   * so what ended without an error is whole.
   */
  readonly stream: ReadableStream<Uint8Array>;
}

export interface RemoveOptions extends OperationOptions {
  readonly folder?: string;
}

export interface ListOptions extends OperationOptions {
  /** Only names that begin so after the folder; without a slash. Spares S3 a large folder's other names. */
  readonly startsWith?: string;
}

/**
 * A tree of objects. Every method throws a StorageError; only the errors of a content that is being put, and the reason of
 * a signal, pass through as they are. A name that is no relative path of plain parts is a RangeError.
 */
export interface Storage extends AsyncDisposable {
  /** For messages: `s3://bucket/prefix`, `sftp://user@host:22/folder`, `/folder`. No secrets. */
  readonly description: string;

  /**
   * Stores an object whole or not at all; replaces one of the same name in one step. When it returns, the object is durable
   * as far as the storage can promise. On failure nothing is visible, and remains are removed where the storage can be reached.
   */
  put(name: string, content: Content, options?: PutOptions): Promise<PutResult>;

  /** @throws {StorageError} `not-found` only where the storage was reached, its root is there, and the object is not. */
  get(name: string, options?: GetOptions): Promise<Download>;

  /** The object, or undefined where the storage was reached, its root is there, and the object is not. */
  stat(name: string, options?: OperationOptions): Promise<StoredObject | undefined>;

  /**
   * All objects below a folder, at any depth, in the order of their names' bytes; `""` is the root. Never siblings whose name only begins
   * like the folder's, nor what is still being written. A folder that is not there has no objects.
   */
  list(folder: string, options?: ListOptions): AsyncIterable<StoredObject>;

  /** Deletes exactly these objects; one that is not there is no error. */
  delete(names: Iterable<string> | AsyncIterable<string>, options?: OperationOptions): Promise<void>;

  /**
   * Removes what crashed writers left behind: temporary files, uploads that were never completed.
   * @param before Only what was begun before; choose it hours ago, for other writers may be at work.
   * @param options `folder`: only what was to go below it; others may have uploads of their own in a bucket. Default: all.
   * @returns How many were removed.
   */
  removeUnfinished(before: Date, options?: RemoveOptions): Promise<number>;

  /**
   * Reaches the storage; writes, reads back, lists and deletes a small object.
   * @returns What works but deserves a person's attention, in sentences.
   * @throws {StorageError} The first thing that does not work, with what would help.
   */
  check(options?: OperationOptions): Promise<string[]>;

  /** Closes connections. What is still under way fails. */
  [Symbol.asyncDispose](): Promise<void>;
}
