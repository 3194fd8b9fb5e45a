/** A file of WAL that is whole and verified before its first byte is given away. */
import { createHash, randomBytes } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DirectClient } from "holdfast";
import type { WalLookup } from "../common/wal-archive/lookup.ts";
import type { FetchOptions, Found } from "../common/wal-archive/wal-source.ts";

const chunkBytes = 256 * 1024;
const wasShortened = "the temporary file was shortened";

export class ServedFile {
  readonly found: Found;
  readonly sizeBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly #content: Uint8Array<ArrayBuffer> | FileHandle;

  private constructor(found: Found, sizeBytes: number, sha256: string, content: Uint8Array<ArrayBuffer> | FileHandle) {
    this.found = found;
    this.sizeBytes = sizeBytes;
    this.sha256 = sha256;
    this.#content = content;
  }

  /**
   * @param options.mostBytes In memory; an object that decodes to more is not read on.
   * @param options.inMemory False: it goes through a file in the system's temporary folder, which has no name any more.
   * @returns Undefined where it is truly absent.
   */
  static async find(
    lookup: WalLookup,
    name: string,
    { inMemory, mostBytes, ...options }: FetchOptions & { readonly inMemory: boolean; readonly mostBytes: number },
  ): Promise<ServedFile | undefined> {
    if (inMemory) {
      const read = await lookup.read(name, { ...options, mostBytes });
      if (read === undefined) return undefined;
      const { found, content, sha256 } = read;
      return new ServedFile(found, content.byteLength, sha256, content as Uint8Array<ArrayBuffer>);
    }
    const path = join(tmpdir(), `holdfast-serve-${randomBytes(8).toString("hex")}`);
    let file: FileHandle | undefined;
    try {
      const found = await lookup.fetch(name, path, options);
      if (found === undefined) return undefined;
      file = await open(path, "r");
      const hash = createHash("sha256");
      let sizeBytes = 0;
      for await (const chunk of chunks(file, 0, Number.MAX_SAFE_INTEGER)) {
        hash.update(chunk);
        sizeBytes += chunk.byteLength;
      }
      const served = new ServedFile(found, sizeBytes, hash.digest("hex"), file);
      file = undefined;
      return served;
    } finally {
      await file?.close();
      await rm(path, { force: true });
    }
  }

  /**
   * The bytes in pieces; the file is closed when they are read, no longer wanted, or nobody takes one for `stallMs`.
   * @param ended Called once, in each of these cases.
   */
  body(start: number, end: number, { stallMs, ended }: BodyOptions): ReadableStream<Uint8Array> {
    const content = this.#content;
    const pieces = content instanceof Uint8Array ? slices(content, start, end) : chunks(content, start, end);
    let left = end - start;
    let isOver = false;
    let timer: Timer | undefined;
    const finish = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      this.close();
      ended();
    };
    const watch = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      timer = setTimeout(() => {
        if (isOver) return;
        finish();
        controller.error(new DOMException(`the client took nothing for ${stallMs / 1000} s`, "AbortError"));
      }, stallMs);
    };
    return new ReadableStream<Uint8Array>(
      {
        start: watch,
        async pull(controller) {
          clearTimeout(timer);
          try {
            const { value } = await pieces.next();
            // An end before the end would pass for a whole file: the connection is to break.
            if (value === undefined && left > 0) throw new Error(wasShortened);
            if (isOver) return;
            if (value !== undefined) controller.enqueue(value);
            left -= value?.byteLength ?? 0;
            if (left > 0) return watch(controller);
            finish();
            controller.close();
          } catch (error) {
            finish();
            controller.error(error);
          }
        },
        cancel: finish,
      },
      { highWaterMark: 0 },
    );
  }

  /** Sends the bytes and closes the file. @throws {Error} Not all of them were sent. */
  async send(client: DirectClient, start: number, end: number): Promise<void> {
    const content = this.#content;
    try {
      if (content instanceof Uint8Array) return await client.write(content.subarray(start, end));
      const sent = await client.sendFile(content.fd, start, end - start, () => {});
      if (sent < end - start) throw new Error(wasShortened);
    } finally {
      this.close();
    }
  }

  /** To be called where neither {@link body} nor {@link send} is. */
  close(): void {
    if (!(this.#content instanceof Uint8Array)) this.#content.close().catch(() => {});
  }
}

export interface BodyOptions {
  readonly stallMs: number;
  ended(): void;
}

async function* slices(content: Uint8Array, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += chunkBytes) yield content.subarray(at, Math.min(at + chunkBytes, end));
}

async function* chunks(file: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let position = start; position < end; ) {
    const length = Math.min(chunkBytes, end - position);
    const { bytesRead, buffer } = await file.read(new Uint8Array(length), 0, length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
