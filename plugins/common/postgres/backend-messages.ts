/**
 * Cuts what a server sends into messages and reads those that matter behind the start-up.
 * Source: PostgreSQL documentation, "Message Formats", section 55.7 of version 15.
 */
import type { ServerNotice } from "./replication-error.ts";

/** Codes of the server's messages. */
export const code = {
  authentication: 0x52, // R
  backendKeyData: 0x4b, // K
  commandComplete: 0x43, // C
  copyBothResponse: 0x57, // W
  copyData: 0x64, // d
  copyDone: 0x63, // c
  copyInResponse: 0x47, // G
  copyOutResponse: 0x48, // H
  dataRow: 0x44, // D
  emptyQuery: 0x49, // I
  errorResponse: 0x45, // E
  negotiateProtocolVersion: 0x76, // v
  noticeResponse: 0x4e, // N
  notificationResponse: 0x41, // A
  parameterStatus: 0x53, // S
  readyForQuery: 0x5a, // Z
  rowDescription: 0x54, // T
} as const;

const known: ReadonlySet<number> = new Set(Object.values(code));

/** What walsender sends at once is far below this; a greater length is no message. */
const maxMessageBytes = 64 * 2 ** 20;

const codeLength = 1;
const headerLength = 5;

/** Cuts a byte stream into messages. A message that came in one piece is not copied. */
export class MessageReader {
  /** Room for a message that comes in pieces; used again for the next. */
  #pieces = Buffer.alloc(0);
  #held = 0;

  /** Nothing of a message is held back: what was read so far ended with one. */
  get isBetweenMessages(): boolean {
    return this.#held === 0;
  }

  /**
   * @param take Gets each message that is complete now: its code, and a view of the whole of it with its header, valid
   *   only during the call. False ends the reading; what follows is dropped.
   * @throws {SyntaxError} This is not PostgreSQL's protocol.
   */
  read(chunk: Buffer, take: (code: number, message: Buffer) => boolean): void {
    let offset = 0;
    if (this.#held > 0) {
      offset = this.#fill(chunk, 0, headerLength);
      if (this.#held < headerLength) return;
      const length = messageLength(this.#pieces, 0);
      offset = this.#fill(chunk, offset, length);
      if (this.#held < length) return;
      this.#held = 0;
      if (!take(this.#pieces[0] ?? 0, this.#pieces.subarray(0, length))) return;
    }
    while (chunk.length - offset >= headerLength) {
      const length = messageLength(chunk, offset);
      if (chunk.length - offset < length) break;
      if (!take(chunk[offset] ?? 0, chunk.subarray(offset, offset + length))) return;
      offset += length;
    }
    this.#fill(chunk, offset, this.#held + chunk.length - offset);
  }

  /** Takes from `chunk` what is missing to `wanted` bytes. @returns The offset behind what was taken. */
  #fill(chunk: Buffer, offset: number, wanted: number): number {
    const count = Math.min(wanted - this.#held, chunk.length - offset);
    if (count <= 0) return offset;
    const needed = this.#held + count;
    if (needed > this.#pieces.length) {
      const roomier = Buffer.allocUnsafe(Math.max(needed, Math.min(wanted, this.#pieces.length * 2), 4096));
      this.#pieces.copy(roomier, 0, 0, this.#held);
      this.#pieces = roomier;
    }
    chunk.copy(this.#pieces, this.#held, offset, offset + count);
    this.#held = needed;
    return offset + count;
  }
}

function messageLength(bytes: Buffer, offset: number): number {
  const first = bytes[offset] ?? 0;
  const length = bytes.readUInt32BE(offset + codeLength);
  if (!known.has(first))
    throw new SyntaxError(`a message of the unknown type 0x${first.toString(16).padStart(2, "0")}`);
  if (length < 4 || length > maxMessageBytes) throw new SyntaxError(`a message of ${length} bytes`);
  return length + codeLength;
}

/** A position in one message; reading behind its end is a RangeError. */
class Fields {
  readonly #message: Buffer;
  #offset = headerLength;
  constructor(message: Buffer) {
    this.#message = message;
  }
  byte(): number {
    return this.#message.readUInt8(this.#offset++);
  }
  int16(): number {
    this.#offset += 2;
    return this.#message.readInt16BE(this.#offset - 2);
  }
  int32(): number {
    this.#offset += 4;
    return this.#message.readInt32BE(this.#offset - 4);
  }
  bytes(length: number): Buffer {
    if (this.#offset + length > this.#message.length) throw new RangeError("behind the end");
    this.#offset += length;
    return this.#message.subarray(this.#offset - length, this.#offset);
  }
  text(): string {
    const end = this.#message.indexOf(0, this.#offset);
    if (end < 0) throw new RangeError("no end of a text");
    const text = this.#message.toString("utf8", this.#offset, end);
    this.#offset = end + 1;
    return text;
  }
}

/** @throws {SyntaxError} The message is cut short. */
function readFields<Value>(what: string, message: Buffer, read: (fields: Fields) => Value): Value {
  try {
    return read(new Fields(message));
  } catch (cause) {
    throw new SyntaxError(`a malformed ${what} message`, { cause });
  }
}

/** The columns of a DataRow, copied; null for NULL. @throws {SyntaxError} */
export const readDataRow = (message: Buffer): (Buffer | null)[] =>
  readFields("DataRow", message, (fields) =>
    Array.from({ length: fields.int16() }, () => {
      const length = fields.int32();
      return length < 0 ? null : Buffer.from(fields.bytes(length));
    }),
  );

/** Name and value of a ParameterStatus. @throws {SyntaxError} */
export const readParameterStatus = (message: Buffer): readonly [name: string, value: string] =>
  readFields("ParameterStatus", message, (fields) => [fields.text(), fields.text()] as const);

/** The request of an authentication message: 0 when the server is content. @throws {SyntaxError} */
export const readAuthenticationRequest = (message: Buffer): number =>
  readFields("Authentication", message, (fields) => fields.int32());

/** The body of an ErrorResponse or NoticeResponse. @throws {SyntaxError} */
export const readNotice = (message: Buffer): ServerNotice =>
  readFields("ErrorResponse", message, (fields) => {
    const found = new Map<string, string>();
    for (let type = fields.byte(); type !== 0; type = fields.byte())
      found.set(String.fromCharCode(type), fields.text());
    return {
      // V, since version 9.6, is what S is before its translation.
      severity: found.get("V") ?? found.get("S") ?? "ERROR",
      sqlState: found.get("C") ?? "XX000",
      message: found.get("M") ?? "no message",
      detail: found.get("D"),
      hint: found.get("H"),
    };
  });
