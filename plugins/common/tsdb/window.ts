/** Reads a large file through a small window: in order it costs one read a window, backwards it costs one more. */
import type { Bytes } from "./bytes.ts";

const defaultWindowBytes = 256 * 1024;

export class Window {
  readonly #bytes: Bytes;
  #buffer: Buffer;
  /** Where in the file the buffer begins, and how much of it is filled. */
  #start = 0;
  #filled = 0;

  constructor(bytes: Bytes, windowBytes = defaultWindowBytes) {
    this.#bytes = bytes;
    this.#buffer = Buffer.allocUnsafe(windowBytes);
  }

  get sizeBytes(): number {
    return this.#bytes.sizeBytes;
  }

  /**
   * Up to `length` bytes at `position`, fewer at the end of the file; valid until the next call. The promise is only
   * made when the disk must be asked: a block has millions of chunks.
   */
  at(position: number, length: number): Buffer | Promise<Buffer> {
    const offset = position - this.#start;
    if (offset >= 0 && offset + length <= this.#filled) return this.#buffer.subarray(offset, offset + length);
    return this.#fill(position, length);
  }

  async #fill(position: number, length: number): Promise<Buffer> {
    if (length > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(length);
    this.#start = position;
    this.#filled = 0;
    this.#filled = await this.#bytes.read(this.#buffer, position);
    return this.#buffer.subarray(0, Math.min(length, this.#filled));
  }
}
