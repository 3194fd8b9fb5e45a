/**
 * PostgreSQL's streaming replication protocol: commands, and WAL in COPY-both mode.
 * Source: PostgreSQL documentation, "Streaming Replication Protocol", section 55.4 of version 15.
 */
import { code, readDataRow, readNotice } from "./backend-messages.ts";
import type { ConnectionTarget, TargetSessionAttributes } from "./conninfo.ts";
import {
  asTexts,
  CopyBoth,
  type CopyBothStream,
  type ReplicationRow,
  type StreamHandlers,
} from "./copy-both-stream.ts";
import { type Limits, within } from "./limits.ts";
import {
  describeNotice,
  isShutdownState,
  kindOfState,
  ReplicationError,
  type ServerNotice,
} from "./replication-error.ts";
import { describeEnd, type Failure, noAnswer } from "./replication-failure.ts";
import { isFinal, type Opened, openOneOf, placeOf } from "./replication-login.ts";
import type { Wire, WireEnd } from "./replication-wire.ts";
import { passesOf, sessionRefusal } from "./session-attributes.ts";

export type { CopyBothStream, ReplicationRow, StreamHandlers } from "./copy-both-stream.ts";
export { ReplicationError, type ReplicationErrorKind } from "./replication-error.ts";

export type ReplicationStart =
  /** The timeline ends exactly at the asked position: `[[next_tli, next_tli_startpos]]`. */
  | { readonly kind: "end-of-timeline"; readonly rows: readonly ReplicationRow[] }
  | { readonly kind: "streaming"; readonly stream: CopyBothStream };

/** How long a goodbye may take. */
const closeTimeoutMs = 1000;

/** An answer that is waited for. */
interface Exchange {
  readonly rows: (Buffer | null)[][];
  readonly settled: PromiseWithResolvers<readonly (readonly (Buffer | null)[])[]>;
  completed: boolean;
  error: ServerNotice | undefined;
  /** What could not be done, for messages. */
  readonly what: string;
  /** Of START_REPLICATION: enters COPY-both mode. */
  readonly enter: (() => void) | undefined;
}

export class ReplicationConnection {
  /** For messages: `db1:5432` or `/var/run/postgresql:5432`. */
  readonly place: string;
  readonly #wire: Wire;
  #exchange: Exchange | undefined;
  #stream: CopyBoth | undefined;
  #failure: unknown;
  #closing: Promise<void> | undefined;
  readonly #gone = Promise.withResolvers<void>();

  private constructor(wire: Wire, place: string) {
    this.#wire = wire;
    this.place = place;
    wire.claim({
      message: (type, message) => this.#take(type, message),
      read: (isWhole) => this.#stream?.read(isWhole),
      ended: (end) => this.#ended(end),
    });
  }

  /**
   * Opens a physical replication connection to the first server of the target that will do.
   * @param options.applicationName Goes before that of the target.
   * @param options.timeoutMs For all of it: name, connection, encryption, login, each server that is tried.
   * @throws {ReplicationError} The message tells what was found at each server, and no secret.
   */
  static async connect(
    target: ConnectionTarget,
    options: Limits & { readonly applicationName: string },
  ): Promise<ReplicationConnection> {
    const end = performance.now() + options.timeoutMs;
    let failure: unknown;
    for (const wanted of passesOf(target.targetSessionAttributes)) {
      let found: ReplicationConnection | undefined;
      const refusal = async ({ wire, host }: Opened, limits: Limits) => {
        const candidate = new ReplicationConnection(wire, placeOf(host));
        const reason = await candidate.#refusal(wanted, limits);
        if (reason === undefined) found = candidate;
        else void candidate.close();
        return reason;
      };
      try {
        const timeoutMs = Math.max(end - performance.now(), 1);
        await openOneOf(target, { ...options, timeoutMs, refusal });
        if (found) return found;
      } catch (error) {
        failure = error;
        if (!(error instanceof ReplicationError) || isFinal(error)) break;
      }
    }
    throw failure;
  }

  /** Why this server is not one that is wanted. @throws {ReplicationError} The connection is gone then. */
  async #refusal(wanted: TargetSessionAttributes, limits: Limits): Promise<string | undefined> {
    if (wanted === "any") return undefined;
    const isOn = async (name: string) => {
      const reported = this.parameter(name);
      if (reported !== undefined) return reported === "on";
      // Before 14, a server reports neither; this is on for both reasons, which libpq does not tell apart there either.
      const [[value] = []] = await this.command("SHOW transaction_read_only", limits);
      return value === "on";
    };
    try {
      const isStandby = await isOn("in_hot_standby");
      return sessionRefusal(wanted, { isStandby, isReadOnly: await isOn("default_transaction_read_only") });
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** A value that the server reports: `server_version`, `in_hot_standby` … */
  parameter(name: string): string | undefined {
    return this.#wire.parameters.get(name);
  }

  /**
   * Runs a command of the replication protocol, one at a time.
   * @throws {ReplicationError} Behind an ERROR of the server the connection can go on; behind anything else it is gone.
   */
  async command(text: string, limits: Limits): Promise<readonly ReplicationRow[]> {
    return asTexts(await this.commandBytes(text, limits));
  }

  /** Like {@link command}, with the columns as the bytes that came: a history file may be no UTF-8. */
  async commandBytes(text: string, limits: Limits): Promise<readonly (readonly (Buffer | null)[])[]> {
    const exchange = this.#begin(text, limits);
    return await this.#finishWithin(exchange.settled.promise, exchange, limits);
  }

  /**
   * Runs START_REPLICATION. Handlers are called from the next turn of the event loop on: behind this promise. That the WAL
   * is gone (58P01), or not there yet (XX000), the server tells in the stream only: its `ended` is rejected then.
   * @throws {ReplicationError} As with {@link command}.
   */
  async start(text: string, handlers: StreamHandlers, limits: Limits): Promise<ReplicationStart> {
    const entered = Promise.withResolvers<CopyBothStream>();
    const exchange: Exchange = this.#begin(text, limits, () => {
      this.#exchange = undefined;
      this.#stream = new CopyBoth(this.#wire, handlers, {
        failed: (error) => this.#fail(error),
        over: () => {
          this.#stream = undefined;
        },
      });
      entered.resolve(this.#stream);
    });
    const first = Promise.race([
      entered.promise.then((stream): ReplicationStart => ({ kind: "streaming", stream })),
      exchange.settled.promise.then((rows): ReplicationStart => ({ kind: "end-of-timeline", rows: asTexts(rows) })),
    ]);
    return await this.#finishWithin(first, exchange, limits);
  }

  #begin(text: string, limits: Limits, enter?: () => void): Exchange {
    limits.signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#exchange || this.#stream) throw new Error(`Cannot ${verb(text)} ${this.place}: the connection is busy`);
    const settled: Exchange["settled"] = Promise.withResolvers();
    settled.promise.catch(() => {});
    const exchange = { rows: [], settled, completed: false, error: undefined, what: verb(text), enter };
    this.#exchange = exchange;
    this.#wire.query(text);
    return exchange;
  }

  async #finishWithin<Value>(work: Promise<Value>, exchange: Exchange, limits: Limits): Promise<Value> {
    try {
      return await within(work, limits, () => {
        // What the server said and did not end in time still says more than that.
        if (exchange.error) return this.#serverError(exchange.what, exchange.error);
        return new ReplicationError("timeout", `Cannot ${exchange.what} ${this.place}: ${noAnswer(limits.timeoutMs)}`);
      });
    } catch (error) {
      // Nobody knows what would still come.
      if (this.#exchange === exchange || this.#stream) this.#fail(error);
      throw error;
    }
  }

  #serverError(what: string, notice: ServerNotice): ReplicationError {
    return new ReplicationError(
      kindOfState(notice.sqlState),
      `Cannot ${what} ${this.place}: ${describeNotice(notice)}`,
      { sqlState: notice.sqlState },
    );
  }

  #take(type: number, message: Buffer): boolean {
    if (this.#failure !== undefined) return false;
    if (this.#stream) {
      if (type === code.errorResponse) this.#fail(this.#serverError(streaming, readNotice(message)));
      else this.#stream.take(type, message);
      return this.#failure === undefined;
    }
    const exchange = this.#exchange;
    switch (type) {
      case code.errorResponse: {
        const notice = readNotice(message);
        if (exchange) exchange.error ??= notice;
        else this.#fail(this.#serverError(idle, notice));
        return true;
      }
      case code.rowDescription:
        if (exchange) return true;
        break;
      case code.dataRow:
        if (!exchange) break;
        exchange.rows.push(readDataRow(message));
        return true;
      case code.commandComplete:
        if (!exchange) break;
        exchange.completed = true;
        return true;
      case code.copyBothResponse:
        if (!exchange?.enter) break;
        exchange.enter();
        return true;
      case code.readyForQuery:
        if (!exchange || !(exchange.completed || exchange.error)) break;
        this.#exchange = undefined;
        if (exchange.error) exchange.settled.reject(this.#serverError(exchange.what, exchange.error));
        else exchange.settled.resolve(exchange.rows);
        return true;
    }
    throw new SyntaxError(`an unexpected message of type "${String.fromCharCode(type)}"`);
  }

  #ended(end: WireEnd): void {
    this.#gone.resolve();
    const what = this.#exchange?.what ?? (this.#stream ? streaming : idle);
    const said = this.#exchange?.error ?? this.#wire.lastNotice;
    const isLoss = end.kind === "closed" || end.kind === "socket";
    if (isLoss && said && (this.#exchange?.error || isShutdownState(said.sqlState))) {
      this.#fail(this.#serverError(what, said));
      return;
    }
    const failure: Failure =
      isLoss && this.#stream?.isCompleted
        ? { kind: "server_shutdown", found: "the server ended the stream, as it does when it shuts down" }
        : describeEnd(end, "ready");
    const { kind, found, ...options } = failure;
    this.#fail(new ReplicationError(kind, `Cannot ${what} ${this.place}: ${found}`, options));
  }

  /** Ends everything, once. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = error ?? new Error("Unknown failure");
    this.#exchange?.settled.reject(this.#failure);
    this.#stream?.fail(this.#failure);
    this.#exchange = undefined;
    this.#wire.finish({ kind: "closed" });
  }

  /** Says goodbye and waits for the server to hang up, a second at most. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#wire.isEnded) return;
    const reason = this.#closedHere();
    this.#exchange?.settled.reject(reason);
    this.#stream?.fail(reason);
    this.#failure ??= reason;
    const timer = setTimeout(() => this.destroy(), closeTimeoutMs);
    this.#wire.terminate();
    await this.#gone.promise;
    clearTimeout(timer);
  }

  destroy(): void {
    this.#fail(this.#closedHere());
    this.#wire.finish({ kind: "closed" });
  }

  #closedHere(): ReplicationError {
    return new ReplicationError("connection_lost", `Cannot go on with ${this.place}: the connection was closed here`);
  }
}

/** `run START_REPLICATION on`: names and positions are the caller's to tell. */
const verb = (text: string): string => `run ${/^\s*(SHOW \w+|\w+)/.exec(text)?.[1] ?? "a command"} on`;
const streaming = "stream WAL from";
const idle = "keep the connection to";
