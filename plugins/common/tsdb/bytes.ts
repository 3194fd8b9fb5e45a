/** A file that can be read at any place: one on disk, or a stretch of an archive. */
import { type FileHandle, open } from "node:fs/promises";

export interface Bytes extends AsyncDisposable {
  readonly sizeBytes: number;
  /** Reads up to `buffer.length` bytes at `position`. @returns How many; fewer only at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
}

/** @throws {Error} The file cannot be opened. */
export async function openBytes(path: string): Promise<Bytes> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    return new Stretch(handle, 0, size, true);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A stretch of an open file, which stays open when the stretch is done with. */
export function stretchOf(handle: FileHandle, offset: number, sizeBytes: number): Bytes {
  return new Stretch(handle, offset, sizeBytes, false);
}

class Stretch implements Bytes {
  readonly #handle: FileHandle;
  readonly #offset: number;
  readonly #closes: boolean;
  readonly sizeBytes: number;

  constructor(handle: FileHandle, offset: number, sizeBytes: number, closes: boolean) {
    this.#handle = handle;
    this.#offset = offset;
    this.sizeBytes = sizeBytes;
    this.#closes = closes;
  }
  async read(buffer: Uint8Array, position: number): Promise<number> {
    const wanted = Math.min(buffer.length, Math.max(0, this.sizeBytes - position));
    let done = 0;
    while (done < wanted) {
      const { bytesRead } = await this.#handle.read(buffer, done, wanted - done, this.#offset + position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closes) await this.#handle.close();
  }
}

/** The bytes of a small file. @throws {RangeError} It has more than `mostBytes`. */
export async function readWhole(bytes: Bytes, mostBytes: number): Promise<Buffer> {
  if (bytes.sizeBytes > mostBytes) {
    throw new RangeError(`it has ${bytes.sizeBytes} bytes, expected at most ${mostBytes}`);
  }
  const buffer = Buffer.alloc(bytes.sizeBytes);
  return buffer.subarray(0, await bytes.read(buffer, 0));
}
