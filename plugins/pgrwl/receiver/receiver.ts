/** Keeps a folder in step with a server: connects, finds where to go on, receives, and begins again whatever breaks. */
import { type Environment, resolveConnection } from "../../common/postgres/conninfo.ts";
import { formatLsn } from "../../common/postgres/lsn.ts";
import { ReplicationConnection } from "../../common/postgres/replication.ts";
import { BackOff } from "./back-off.ts";
import { DirectoryLock } from "./directory-lock.ts";
import { type Disk, DiskError } from "./disk.ts";
import { type Failure, failureOf } from "./failures.ts";
import { GapError, remedies } from "./gaps.ts";
import { LagClock } from "./lag-clock.ts";
import type { FromThread, LastArchived, ReceiverSettings, Standing } from "./protocol.ts";
import { Session } from "./session.ts";
import type { LastSegment } from "./start-position.ts";
import { disconnectReasons, gapReasons, type Telemetry } from "./telemetry.ts";

export interface ReceiverOptions {
  readonly settings: ReceiverSettings;
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly disk: Disk;
  readonly tell: (message: FromThread) => void;
  readonly lastArchived?: LastArchived | undefined;
}

/** What one connection leaves to the next. */
export interface Memory {
  /** The last segment that was completed here; its file may be archived meanwhile. */
  last?: LastSegment | undefined;
  systemIdentifier?: string | undefined;
  /** What the archive ended with when the process began, until a session has looked at it. */
  lastArchived?: LastArchived | undefined;
  /** The gap behind which the next stream begins, at the slot's position, then at the server's. */
  beyondGap?: "slot" | "server" | undefined;
  /** The server has given this slot up; it is of no more use. */
  lostSlot?: { readonly restartLsn: bigint | undefined } | undefined;
  /** Where the last session began: the same again is nothing new. */
  begun?: string | undefined;
  /** The end of what could not be taken, because of the disk or of a gap: until that is written, nothing has changed. */
  stuckAt?: bigint | undefined;
  /** Files in the receive folder that are not used, which was said already. */
  readonly ignored: Set<string>;
  /** The fork that was told of already. */
  fork?: string | undefined;
}

/** A stream that lasted so long was a good one: the next attempt comes soon. */
const goodStreamMs = 5000;
/** How long the server may take to agree to the end of a stream. */
const finishMs = 2000;

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #stop = new AbortController();
  readonly #backOff: BackOff;
  readonly #lag = new LagClock();
  readonly #memory: Memory;
  #isStopping = false;
  #lock: DirectoryLock | undefined;
  #session: Session | undefined;
  /** The problem that was logged last: its repeats are for debugging. */
  #told: string | undefined;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#memory = { ignored: new Set(), lastArchived: options.lastArchived };
    this.#backOff = new BackOff(options.settings.firstBackOffMs, options.settings.longestBackOffMs);
  }

  /** Receives until {@link stop}, the end position, or, with `noLoop`, the first failure. Never throws. */
  async run(): Promise<void> {
    const { settings, telemetry } = this.#options;
    try {
      let accepted = 0;
      while (!this.#isStopping) {
        telemetry.set("streamingSince", 0);
        const failure = await this.#attempt();
        if (this.#isStopping) break;
        accepted = failure === "again" && telemetry.number("streamingSince") === 0 ? accepted + 1 : 0;
        if (failure === "again") {
          // A gap behind a gap: whatever goes round in a circle must not spin.
          if (accepted > 1) await this.#wait(this.#backOff.next());
          continue;
        }
        if (failure === undefined) {
          this.#stand({ state: "finished" });
          this.#log("info", "End position reached; reception ends", {
            position: formatLsn(settings.endPosition ?? 0n),
          });
          return;
        }
        if (settings.noLoop) {
          this.#onFailure(failure, undefined);
          return;
        }
        const waitMs = this.#backOff.next();
        this.#onFailure(failure, waitMs);
        await this.#wait(waitMs);
      }
      this.#stand({ state: "stopped" });
    } finally {
      this.#lock?.release();
    }
  }

  /** Ends the stream with everything that has come durable and acknowledged. */
  stop(): void {
    this.#isStopping = true;
    const session = this.#session;
    if (!session?.isStreaming) {
      this.#stop.abort();
      return;
    }
    // A server that hangs has its time, then the connection ends without its consent.
    setTimeout(() => session.abort(), finishMs);
    try {
      session.finish();
    } catch (error) {
      this.#log("error", "Cannot flush WAL at the end", { error: messageOf(error) });
      session.abort();
    }
  }

  /** One connection. @returns Undefined at the end position; `again`: without a wait. */
  async #attempt(): Promise<Failure | "again" | undefined> {
    const { settings, environment, telemetry, disk, tell } = this.#options;
    const began = performance.now();
    try {
      this.#takeFolder();
      this.#stand({ state: "connecting" });
      // The password file has lines of their own for replication, as it has for pg_receivewal.
      const target = await resolveConnection(settings.connection, environment, "replication");
      const connection = await ReplicationConnection.connect(target, {
        applicationName: settings.applicationName,
        timeoutMs: settings.connectTimeoutMs,
        signal: this.#stop.signal,
      });
      this.#session = new Session({
        connection,
        settings,
        telemetry,
        disk,
        tell,
        lag: this.#lag,
        memory: this.#memory,
        signal: this.#stop.signal,
        checkFolder: () => this.#checkFolder(),
        onStreaming: () => this.#onStreaming(),
        log: (level, message, fields) => this.#log(level, message, fields),
      });
      try {
        return (await this.#session.run()) === "again" ? "again" : undefined;
      } finally {
        this.#session = undefined;
        await connection.close();
      }
    } catch (error) {
      const streamed = telemetry.number("streamingSince") > 0;
      if (streamed && performance.now() - began > goodStreamMs) this.#backOff.reset();
      // An attempt that comes no further than this one is no stream, and its failure no news.
      const isStuck = error instanceof DiskError || error instanceof GapError;
      if (isStuck) this.#memory.stuckAt = telemetry.lsn("received");
      return failureOf(error);
    }
  }

  #takeFolder(): void {
    const { settings, disk } = this.#options;
    if (this.#lock?.holds(settings.directory)) return;
    if (this.#lock) {
      // Something was mounted there, or is no more.
      this.#log("warn", "The receive folder is another one than before", { directory: settings.directory });
      this.#lock.release();
      this.#lock = undefined;
      // What was completed is in the other one: the chain goes on from what this one holds.
      this.#memory.last = undefined;
      this.#memory.begun = undefined;
      this.#memory.ignored.clear();
    }
    disk.makeFolder(settings.directory, 0o750);
    this.#lock = DirectoryLock.take(settings.directory);
  }

  /** @throws {DiskError} */
  #checkFolder(): void {
    const { directory } = this.#options.settings;
    if (!this.#lock?.holds(directory))
      throw new DiskError("go on in", directory, new Error("it is another folder than before, or gone"));
  }

  #onStreaming(): void {
    for (const index of gapReasons.keys()) this.#options.telemetry.setInList("gapOpen", index, 0);
    this.#told = undefined;
    this.#options.telemetry.set("streamingSince", Date.now() / 1000);
    this.#stand({ state: "streaming" });
  }

  #onFailure({ reason, error }: Failure, waitMs: number | undefined): void {
    const { settings, telemetry, tell } = this.#options;
    telemetry.addToList("disconnects", disconnectReasons.indexOf(reason));
    const isFull = error instanceof DiskError && error.isFull;
    const problem = error instanceof GapError ? `${error.message}; ${remedies[error.reason]}` : messageOf(error);
    const state = waitMs === undefined ? "stopped" : isFull ? "disk_full" : reason === "gap" ? "refused" : "waiting";
    const nextAttemptAt = waitMs === undefined ? undefined : Date.now() + waitMs;
    // A gap's server goes on meanwhile, and its position with it; a full disk may fail at another call: neither is news.
    const gap = error instanceof GapError ? `${error.reason} ${error.file ?? ""}` : undefined;
    const told = gap ?? (isFull ? "disk_full" : problem);
    const isNew = this.#told !== told;
    this.#told = told;
    if (error instanceof GapError) {
      const index = gapReasons.indexOf(error.reason);
      if (telemetry.list("gapOpen")[index] === 0) telemetry.addToList("gaps", index);
      telemetry.setInList("gapOpen", index, 1);
      if (isNew) tell({ kind: "gap", reason: error.reason, refused: true, message: problem });
    }
    this.#stand({ state, problem, nextAttemptAt });
    // A gap and a full disk need somebody; a lost connection mends itself.
    const level = !isNew ? "debug" : reason === "gap" || isFull || waitMs === undefined ? "error" : "warn";
    const retrySeconds = waitMs === undefined ? undefined : Math.round(waitMs / 100) / 10;
    this.#log(level, "WAL is not being received", {
      reason,
      error: problem,
      slot: settings.slot,
      retry_seconds: retrySeconds,
    });
  }

  #stand(standing: Standing): void {
    this.#options.telemetry.state = standing.state;
    this.#options.tell({ kind: "standing", standing });
  }

  #log(
    level: "error" | "warn" | "info" | "debug",
    message: string,
    fields: Readonly<Record<string, string | number | boolean | undefined>>,
  ): void {
    this.#options.tell({ kind: "log", level, message, fields });
  }

  #wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { signal } = this.#stop;
    const timer = setTimeout(resolve, milliseconds);
    const end = () => resolve();
    signal.addEventListener("abort", end);
    return promise.finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
