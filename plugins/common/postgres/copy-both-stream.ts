/** COPY-both mode: WAL comes, statuses go. */
import { code, readDataRow } from "./backend-messages.ts";
import type { Wire } from "./replication-wire.ts";

/** One row of a command's answer: texts, or null for NULL, in the server's order. */
export type ReplicationRow = readonly (string | null)[];

/** Called from the socket's events, never inside one another; a throw ends the stream with that very error. */
export interface StreamHandlers {
  /** The payload of a CopyData message: a view, valid only during the call. */
  data(payload: Buffer): void;
  /** Everything that was readable has been given to `data`. */
  drained(): void;
  /** The server sent CopyDone: no more data will come, and it waits for `finish()`. */
  done(): void;
}

export interface CopyBothStream {
  /** Writes the payload as a CopyData message at once. Does nothing once the stream is finished or broken. */
  send(payload: Buffer): void;
  /** Sends CopyDone, once. Data of the server still goes to the handlers until its own CopyDone. */
  finish(): void;
  /** The server sent CopyDone. */
  readonly serverIsDone: boolean;
  /**
   * The rows behind the stream: `[[next_tli, next_tli_startpos]]` at the end of a timeline, else none. The connection can
   * take commands again. Rejected with a {@link ReplicationError}, or with what a handler threw; the connection is gone then.
   */
  readonly ended: Promise<readonly ReplicationRow[]>;
}

const headerLength = 5;

export const asTexts = (rows: readonly (readonly (Buffer | null)[])[]): ReplicationRow[] =>
  rows.map((row) => row.map((column) => (column === null ? null : column.toString("utf8"))));

const unexpected = (type: number) =>
  new SyntaxError(`an unexpected message of type "${String.fromCharCode(type)}" in the stream`);

/**
 * A server that has sent CopyDone answers a status that was still on its way all the same; libpq drops the answer.
 * Source: src/backend/replication/walsender.c, ProcessStandbyReplyMessage; src/interfaces/libpq/fe-protocol3.c, pqParseInput3.
 */
const isKeepalive = (type: number, message: Buffer) => type === code.copyData && message[headerLength] === 0x6b;

/** What the connection wants to know of its stream. */
interface Owner {
  /** A handler threw, or the server broke the protocol: nothing can go on. */
  failed(error: unknown): void;
  /** The server takes commands again. */
  over(): void;
}

export class CopyBoth implements CopyBothStream {
  readonly #wire: Wire;
  readonly #handlers: StreamHandlers;
  readonly #owner: Owner;
  readonly #settled = Promise.withResolvers<readonly ReplicationRow[]>();
  readonly #rows: (Buffer | null)[][] = [];
  /** Messages that came together with the answer to START_REPLICATION, before its caller could know of it. */
  #early: [type: number, message: Buffer][] | undefined = [];
  #isFinished = false;
  #isOver = false;
  #serverIsDone = false;
  #isCompleted = false;
  #reads = 0;
  #isWhole = true;
  #isDrainAwaited = false;

  constructor(wire: Wire, handlers: StreamHandlers, owner: Owner) {
    this.#wire = wire;
    this.#handlers = handlers;
    this.#owner = owner;
    this.#settled.promise.catch(() => {});
    setImmediate(() => this.#begin());
  }

  get ended(): Promise<readonly ReplicationRow[]> {
    return this.#settled.promise;
  }
  get serverIsDone(): boolean {
    return this.#serverIsDone;
  }
  /** The server sent CommandComplete. */
  get isCompleted(): boolean {
    return this.#isCompleted;
  }

  send(payload: Buffer): void {
    if (!this.#isFinished && !this.#isOver) this.#wire.sendCopyFromChunk(payload);
  }

  finish(): void {
    if (this.#isFinished || this.#isOver) return;
    this.#isFinished = true;
    this.#wire.endCopyFrom();
  }

  #begin(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    try {
      for (const [type, message] of early) this.take(type, message);
    } catch (error) {
      this.#owner.failed(error);
    }
    if (early.length > 0) this.read(this.#isWhole);
  }

  /** @throws {SyntaxError} The message does not belong here. */
  take(type: number, message: Buffer): void {
    if (this.#isOver) return;
    if (type === code.commandComplete) this.#isCompleted = true;
    if (this.#early) {
      this.#early.push([type, Buffer.from(message)]);
      return;
    }
    if (this.#serverIsDone) this.#takeEnd(type, message);
    else if (type === code.copyData) this.#call(() => this.#handlers.data(message.subarray(headerLength)));
    else if (type === code.copyDone) {
      this.#serverIsDone = true;
      this.#call(() => this.#handlers.done());
    } else if (type !== code.commandComplete) throw unexpected(type);
  }

  /** What comes behind the server's CopyDone. */
  #takeEnd(type: number, message: Buffer): void {
    if (type === code.dataRow) this.#rows.push(readDataRow(message));
    else if (type === code.readyForQuery && this.#isFinished) {
      this.#isOver = true;
      this.#owner.over();
      this.#settled.resolve(asTexts(this.#rows));
    } else if (type !== code.rowDescription && type !== code.commandComplete && !isKeepalive(type, message))
      throw unexpected(type);
  }

  /** All messages of one read were taken. @param isWhole The read ended with the end of a message. */
  read(isWhole: boolean): void {
    this.#reads++;
    this.#isWhole = isWhole;
    if (this.#isOver || this.#early || this.#isDrainAwaited || !isWhole) return;
    switch (this.#wire.isReadable()) {
      case true:
        // The next read comes by itself.
        return;
      case false:
        this.#call(() => this.#handlers.drained());
        return;
    }
    this.#isDrainAwaited = true;
    this.#awaitDrain(this.#reads);
  }

  /** Calls `drained` when the socket was asked for more and had none. */
  #awaitDrain(reads: number): void {
    // The first turn comes before the runtime looks at its sockets again, the second behind that.
    const look = () => {
      if (this.#isOver) return;
      this.#isDrainAwaited = reads !== this.#reads && this.#isWhole;
      if (this.#isDrainAwaited) this.#awaitDrain(this.#reads);
      else if (reads === this.#reads) this.#call(() => this.#handlers.drained());
    };
    setImmediate(() => setImmediate(look));
  }

  #call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#owner.failed(error);
    }
  }

  fail(error: unknown): void {
    this.#isOver = true;
    this.#early = undefined;
    this.#settled.reject(error);
  }
}
