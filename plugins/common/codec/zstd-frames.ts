/**
 * Follows the frames of a zstd stream without decoding them, to know whether it is whole: node:zlib of Bun 1.4.5 takes one that is cut
 * off, has nothing at all or has something behind its end for a whole one. Source: RFC 8878, section 3.1.
 */
import { CodecError } from "./errors.ts";

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

type Step = (bytes: Buffer) => void;

export class ZstdFrames {
  /** Bytes of the field that is being read. */
  #field = Buffer.alloc(18);
  #filled = 0;
  #wanted = 4;
  /** Bytes of a block or of a skippable frame still to pass over. */
  #toSkip = 0;
  #step: Step = (bytes) => this.#magic(bytes);
  #frames = 0;
  #isBetween = true;
  #hasChecksum = false;

  /** @throws {CodecError} corrupt: there is something else than a frame. */
  follow(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, chunk.length - at);
        this.#toSkip -= skipped;
        at += skipped;
        continue;
      }
      const taken = Math.min(this.#wanted - this.#filled, chunk.length - at);
      this.#field.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled < this.#wanted) return;
      this.#filled = 0;
      this.#step(this.#field);
    }
  }

  /** @throws {CodecError} truncated: the stream ended within a frame, or before the first. */
  end(): void {
    if (this.#frames > 0 && this.#isBetween && this.#filled === 0 && this.#toSkip === 0) return;
    const found =
      this.#frames === 0 && this.#isBetween && this.#filled === 0 ? "it is empty" : "it ends within a frame";
    throw new CodecError("truncated", `Cannot decompress zstd: ${found}`);
  }

  #expect(bytes: number, step: Step): void {
    this.#wanted = bytes;
    this.#step = step;
  }

  #magic(bytes: Buffer): void {
    const found = bytes.readUInt32LE(0);
    if (found === frameMagic) {
      this.#isBetween = false;
      this.#expect(1, (descriptor) => this.#descriptor(descriptor));
    } else if ((found & 0xfffffff0) >>> 0 === skippableMagic) {
      this.#isBetween = false;
      this.#expect(4, (size) => {
        this.#toSkip = size.readUInt32LE(0);
        this.#endFrame();
      });
    } else {
      const place = this.#frames === 0 ? "begin with a zstd frame" : "go on with a zstd frame after the last";
      throw new CodecError("corrupt", `Cannot decompress zstd: it does not ${place}`);
    }
  }

  #descriptor(bytes: Buffer): void {
    const flags = bytes.readUInt8(0);
    const isSingleSegment = (flags & 0x20) !== 0;
    this.#hasChecksum = (flags & 0x04) !== 0;
    const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
    const dictionaryBytes = [0, 1, 2, 4][flags & 3] ?? 0;
    const rest = (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
    this.#expect(rest, () => this.#expectBlock());
  }

  #expectBlock(): void {
    this.#expect(3, (bytes) => {
      const header = bytes.readUIntLE(0, 3);
      const isRunLength = ((header >> 1) & 3) === 1;
      this.#toSkip = isRunLength ? 1 : header >> 3;
      if ((header & 1) === 0) this.#expectBlock();
      else if (this.#hasChecksum) this.#expect(4, () => this.#endFrame());
      else this.#endFrame();
    });
  }

  #endFrame(): void {
    this.#frames++;
    this.#isBetween = true;
    this.#expect(4, (bytes) => this.#magic(bytes));
  }
}
