/** One stream of WAL of one timeline: received, written, made durable, acknowledged. */
import { formatLsn } from "../../common/postgres/lsn.ts";
import type { CopyBothStream, ReplicationRow, StreamHandlers } from "../../common/postgres/replication.ts";
import { ReplicationError } from "../../common/postgres/replication-error.ts";
import { decodeServerMessage, encodeStandbyStatus, type XLogData } from "../../common/postgres/replication-messages.ts";
import type { LagClock } from "./lag-clock.ts";
import type { ReceiverSettings } from "./protocol.ts";
import type { Telemetry } from "./telemetry.ts";
import type { WalFiles } from "./wal-files.ts";

/** How often a stream looks at the clock: at least, and at most. */
const longestBeatMs = 1000;
const shortestBeatMs = 20;
/** On a slow disk, flushing takes at most this share of the time while WAL pours in. */
const longestFlushShare = 0.25;
const longestPatienceMs = 250;
/** A beat that comes so late was held up by this machine: what the server said meanwhile has not been read yet. */
const heldUpMs = 5000;

export interface StreamOptions {
  readonly settings: ReceiverSettings;
  readonly files: WalFiles;
  readonly telemetry: Telemetry;
  readonly lag: LagClock;
  /** For messages. */
  readonly place: string;
  /** Ends the connection at once. */
  readonly abort: () => void;
  /** Throws when the receive folder is another one than before. */
  readonly checkFolder: () => void;
  /** Where the server's WAL ended when it was asked: up to there, silence is no stream yet. */
  readonly serverLsn: bigint;
  /** What has to be received and written before it counts: an earlier stream came so far and failed here, not at the server. */
  readonly stuckAt: bigint;
  /** WAL is received and written, or the server has none to send: it did not find that it has removed it. */
  readonly onStreaming: () => void;
}

/**
 * Flushes when the socket is drained, after {@link ReceiverSettings.flushBytes} or {@link ReceiverSettings.flushIntervalMs}
 * of a torrent, at each segment's end and whenever the server asks; and tells the server after each flush.
 */
export class WalStream implements StreamHandlers {
  readonly #options: StreamOptions;
  #copy: CopyBothStream | undefined;
  #beat: Timer | undefined;
  readonly #beatMs: number;
  #finished = false;
  /** Why we ended the connection ourselves. */
  #failure: { readonly error: unknown } | undefined;
  #isFinishedByUs = false;
  #isStreaming = false;
  /** The server has what was asked for. Before that, a position would set the slot back to WAL that may be gone. */
  #isServed = false;
  /** How far the server's WAL reaches, as far as it said in this stream. */
  #serverEnd = 0n;
  /** Flushes what a torrent, or a message that does not end, has left behind. */
  #late: Timer | undefined;
  #unflushedBytes = 0;
  /** Moments below are of the monotonic clock, in milliseconds: the other one may be set. */
  #unflushedSince = 0;
  /** How long WAL that pours in may wait for its flush. */
  #patienceMs = 0;
  #lastStatusAt = 0;
  #lastMessageAt = 0;
  #lastBeatAt = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    const { flushIntervalMs, statusIntervalMs, receiveTimeoutMs } = options.settings;
    this.#patienceMs = flushIntervalMs;
    // A server that is asked at half of its time has the other half for its answer.
    const wanted = Math.min(statusIntervalMs, receiveTimeoutMs > 0 ? receiveTimeoutMs / 4 : longestBeatMs);
    this.#beatMs = Math.min(Math.max(wanted, shortestBeatMs), longestBeatMs);
  }

  /** The end position is flushed, or {@link finish} was called. */
  get isFinishedByUs(): boolean {
    return this.#isFinishedByUs;
  }

  /**
   * Receives until the server ends the timeline, the end position is flushed, or {@link finish} is called.
   * @returns What the server says of the next timeline: no row unless this one has ended.
   */
  async run(copy: CopyBothStream): Promise<readonly ReplicationRow[]> {
    this.#copy = copy;
    this.#lastMessageAt = this.#lastBeatAt = performance.now();
    this.#report(true);
    this.#beat = setInterval(() => this.#onBeat(), this.#beatMs);
    try {
      if (this.#isAtEnd()) this.finish();
      return await copy.ended;
    } catch (error) {
      throw this.#failure ? this.#failure.error : error;
    } finally {
      clearInterval(this.#beat);
      clearTimeout(this.#late);
      this.#finished = true;
    }
  }

  /** Makes everything that has come durable, says so, and ends the stream. */
  finish(): void {
    if (this.#copy === undefined) return;
    if (this.#finished) {
      // The server was first, and everything is flushed and told: no next timeline is begun.
      this.#isFinishedByUs = true;
      return;
    }
    this.flushAndReport();
    this.#finished = true;
    this.#isFinishedByUs = true;
    this.#copy.finish();
  }

  data(payload: Buffer): void {
    const { telemetry } = this.#options;
    this.#lastMessageAt = performance.now();
    telemetry.add("messages");
    telemetry.set("lastMessageAt", Date.now() / 1000);
    // After our CopyDone the server may send a while longer; it will send that again.
    if (this.#finished) return;
    const message = decodeServerMessage(payload);
    this.#serverAt(message.serverEnd);
    if (message.kind === "wal") this.#onWal(message);
    else if (!this.#isServed && this.#options.files.written >= this.#options.serverLsn) {
      this.#isServed = true;
      this.#report(false);
    }
    if (!this.#isStreaming && this.#isGettingOn(message.kind === "wal")) {
      this.#isStreaming = true;
      this.#options.onStreaming();
    }
    if (message.kind !== "wal" && message.replyRequested) this.flushAndReport();
  }

  #isGettingOn(hasWritten: boolean): boolean {
    const { files, serverLsn, stuckAt } = this.#options;
    return files.written >= serverLsn || (hasWritten && files.written >= stuckAt);
  }

  drained(): void {
    const { files, settings } = this.#options;
    if (this.#finished || files.written === files.flushed) return;
    // In a torrent the socket is drained all the time; more is on its way, and one flush does for much of it.
    if (this.#serverEnd - files.written < BigInt(settings.flushBytes)) this.flushAndReport();
  }

  /** The server ends the stream: it has reached the end of the timeline. */
  done(): void {
    if (this.#finished) return;
    this.flushAndReport();
    this.#finished = true;
    this.#copy?.finish();
  }

  /** @throws {DiskError} */
  flushAndReport(): void {
    this.#flush();
    this.#report(false);
  }

  #onWal({ start, data }: XLogData): void {
    const { files, telemetry, settings } = this.#options;
    telemetry.setLsn("received", start + BigInt(data.length));
    this.#isServed = true;
    const flushedBefore = files.flushed;
    if (this.#unflushedBytes === 0) this.#unflushedSince = this.#lastMessageAt;
    try {
      this.#atDisk(() => files.append(start, data, 0));
    } catch (error) {
      // A segment that ended before the disk was full counts: the server need not keep it.
      this.#report(false);
      throw error;
    }
    this.#unflushedBytes += data.length;
    telemetry.add("receivedBytes", data.length);
    telemetry.setLsn("written", files.written);
    const segmentEnded = files.flushed !== flushedBefore;
    const isLate = performance.now() - this.#unflushedSince >= this.#patienceMs;
    if (segmentEnded || isLate || this.#unflushedBytes >= settings.flushBytes) this.flushAndReport();
    else this.#late ??= setTimeout(() => this.#onLate(), this.#patienceMs);
    if (this.#isAtEnd()) this.finish();
  }

  #serverAt(lsn: bigint): void {
    const { telemetry, lag } = this.#options;
    // A keepalive tells how far the server has sent. Source: src/backend/replication/walsender.c, WalSndKeepalive.
    if (lsn <= this.#serverEnd) return;
    this.#serverEnd = lsn;
    telemetry.setLsn("server", lsn);
    lag.serverAt(lsn, Date.now() / 1000);
  }

  #isAtEnd(): boolean {
    const { endPosition } = this.#options.settings;
    return endPosition !== undefined && this.#options.files.written >= endPosition;
  }

  #flush(): void {
    const { files, telemetry, lag } = this.#options;
    if (files.written > files.flushed) {
      const began = performance.now();
      this.#atDisk(() => files.flush());
      const tookMs = performance.now() - began;
      this.#patienceMs = Math.min(
        Math.max(this.#options.settings.flushIntervalMs, tookMs / longestFlushShare),
        longestPatienceMs,
      );
      telemetry.observeFlush(tookMs / 1000);
      telemetry.set("lastFlushAt", Date.now() / 1000);
    }
    this.#unflushedBytes = 0;
    telemetry.setLsn("flushed", files.flushed);
    lag.flushedTo(files.flushed);
    telemetry.set("behindSince", lag.behindSince);
  }

  /** A disk that hangs stops this thread: what tells of it must stand there before. */
  #atDisk(work: () => void): void {
    const { telemetry, lag } = this.#options;
    telemetry.set("behindSince", lag.behindSince);
    telemetry.set("flushingSince", Date.now() / 1000);
    try {
      work();
    } finally {
      telemetry.set("flushingSince", 0);
    }
  }

  #report(replyRequested: boolean): void {
    const { files, telemetry } = this.#options;
    if (this.#copy === undefined || this.#finished) return;
    this.#lastStatusAt = performance.now();
    // Durable is the most that a receiver can do with WAL: it counts as applied, for `synchronous_commit = remote_apply`.
    const { written, flushed } = this.#isServed ? files : { written: 0n, flushed: 0n };
    this.#copy.send(
      encodeStandbyStatus({ written, flushed, applied: flushed, clock: BigInt(Date.now()) * 1000n, replyRequested }),
    );
    if (this.#isServed) telemetry.setLsn("slotRestart", flushed);
    telemetry.add("statuses");
  }

  #onLate(): void {
    this.#late = undefined;
    try {
      if (!this.#finished && this.#options.files.written > this.#options.files.flushed) this.flushAndReport();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Statuses by the clock, whatever the traffic; each asks for an answer, which shows that the server is alive. */
  #onBeat(): void {
    const { settings, files, telemetry, lag, place, checkFolder } = this.#options;
    const now = performance.now();
    // A machine that slept, or a disk that held us up, is no fault of the server.
    if (now - this.#lastBeatAt > this.#beatMs + heldUpMs) this.#lastMessageAt = now;
    this.#lastBeatAt = now;
    telemetry.set("behindSince", lag.behindSince);
    // Also behind our CopyDone, and behind the server's: what follows it may never come.
    const silentMs = now - this.#lastMessageAt;
    if (settings.receiveTimeoutMs > 0 && silentMs > settings.receiveTimeoutMs) {
      const at = formatLsn(this.#options.files.written);
      const seconds = Math.round(silentMs / 1000);
      this.#fail(new ReplicationError("timeout", `Lost PostgreSQL at ${place}: no answer for ${seconds} s, at ${at}`));
      return;
    }
    if (this.#finished) return;
    const isDue = now - this.#lastStatusAt >= settings.statusIntervalMs - this.#beatMs / 2;
    const mustAsk = settings.receiveTimeoutMs > 0 && silentMs > settings.receiveTimeoutMs / 2;
    try {
      this.#atDisk(() => {
        files.checkPlace();
        checkFolder();
      });
      if (isDue || mustAsk) {
        this.#flush();
        this.#report(true);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#finished = true;
    this.#options.abort();
  }
}
