/** Variable-length numbers, as Go's encoding/binary writes them. */

/** A place in a buffer that reads move on. */
export class Cursor {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws {RangeError} It ends within the number, or the number is no safe integer: nothing in a block is so large. */
  uvarint(): number {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 10; length++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("it ends within a number");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      scale *= 128;
    }
    throw new RangeError("a number in it is too large");
  }

  /** A signed number: zigzag. @throws {RangeError} */
  varint(): number {
    const value = this.uvarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  skip(bytes: number): void {
    if (bytes > this.left) throw new RangeError("it ends too early");
    this.#at += bytes;
  }
}
