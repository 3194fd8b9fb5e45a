/** What is done on one connection: who the server is, where to begin, and timeline after timeline from there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatLsn } from "../../common/postgres/lsn.ts";
import type { ReplicationConnection, ReplicationRow } from "../../common/postgres/replication.ts";
import { parseSegmentName, segmentAt, segmentStart } from "../../common/postgres/wal-segments.ts";
import { fileBeyond } from "./beyond-fork.ts";
import { readHoldings } from "./directory.ts";
import type { Disk } from "./disk.ts";
import { gapOf } from "./failures.ts";
import { GapError } from "./gaps.ts";
import { keepHistory } from "./history-files.ts";
import { filesInTheWay } from "./in-the-way.ts";
import type { LagClock } from "./lag-clock.ts";
import { readFork } from "./next-timeline.ts";
import type { FromThread, ReceiverSettings } from "./protocol.ts";
import type { Memory } from "./receiver.ts";
import { Server } from "./server.ts";
import { keepsNothing, openSlot } from "./slot.ts";
import { chooseStart, type ServerState, type StartPosition, withoutFiles } from "./start-position.ts";
import { WalStream } from "./stream.ts";
import { gapReasons, type Telemetry } from "./telemetry.ts";
import { WalFiles } from "./wal-files.ts";

export interface SessionOptions {
  readonly connection: ReplicationConnection;
  readonly settings: ReceiverSettings;
  readonly telemetry: Telemetry;
  readonly disk: Disk;
  readonly lag: LagClock;
  readonly memory: Memory;
  readonly signal: AbortSignal;
  readonly tell: (message: FromThread) => void;
  /** Throws when the receive folder is another one than before. */
  readonly checkFolder: () => void;
  /** WAL comes. */
  readonly onStreaming: () => void;
  readonly log: (
    level: "error" | "warn" | "info" | "debug",
    message: string,
    fields: Readonly<Record<string, string | number | boolean | undefined>>,
  ) => void;
}

/** A timeline that begins where the stream ended. */
interface NextTimeline {
  readonly timeline: number;
  readonly lsn: bigint;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #server: Server;
  #stream: WalStream | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { connection, settings, signal } = options;
    this.#server = new Server(connection, { signal, timeoutMs: settings.connectTimeoutMs });
  }

  get isStreaming(): boolean {
    return this.#stream !== undefined;
  }
  finish(): void {
    this.#stream?.finish();
  }
  abort(): void {
    this.#options.connection.destroy();
  }

  /**
   * @returns `again`: a gap was accepted, the next session goes on behind it; `finished`: the end position is reached, or
   *   {@link finish} was called.
   * @throws {ReplicationError} @throws {DiskError} @throws {GapError} Refused, as `onGap` says.
   */
  async run(): Promise<"finished" | "again"> {
    const { settings, telemetry, memory, disk, tell } = this.#options;
    const serverVersion = await this.#server.version();
    const segmentSizeBytes = await this.#server.segmentSize();
    const mode = await this.#server.fileMode();
    let state = await this.#ask();
    const { systemIdentifier, timeline } = state;
    telemetry.set("segmentSizeBytes", segmentSizeBytes);
    tell({ kind: "server", facts: { systemIdentifier, serverVersion, timeline, segmentSizeBytes } });
    const files: WalFiles = new WalFiles({
      directory: settings.directory,
      segmentSizeBytes,
      mode,
      systemIdentifier,
      mustRepeat: !state.isStandby,
      disk,
      serverLsn: () => telemetry.lsn("server"),
      onSegment: (name) => this.#onSegment(name, segmentSizeBytes),
      onSetAside: (file, reason) => this.#onSetAside(file, reason),
    });
    try {
      const examine = () => void this.#chooseStart(state, segmentSizeBytes);
      state = { ...state, slotLsn: await openSlot(this.#server, this.#options, examine) };
      await this.#receive(files, state, segmentSizeBytes, mode);
      return "finished";
    } catch (error) {
      const gap = gapOf(error);
      if (gap === undefined) throw error;
      // A standby may follow its primary to another timeline yet: what came on that one must not be moved because of it.
      const mayMend = gap.reason === "timeline" && state.isStandby;
      // The server may still have the WAL that a lost slot does not keep; each minute without a slot, it has less of it.
      if (settings.createSlot && keepsNothing(gap, state, segmentSizeBytes))
        memory.lostSlot = { restartLsn: state.slotLsn };
      const isMended = gap.reason === "slot_lost" && memory.lostSlot !== undefined;
      const isRefused = settings.onGap === "refuse" || mayMend || gap.reason === "slot_lost";
      if (isRefused && !isMended) throw gap;
      this.#goBeyond(gap, files, state, segmentSizeBytes);
      return "again";
    } finally {
      files.close();
    }
  }

  /** Who the server is and where it stands, as yet without the slot. */
  async #ask(): Promise<ServerState> {
    const system = await this.#server.identify();
    const isStandby = await this.#server.isStandby();
    const history = await this.#server.history(system.timeline);
    this.#options.telemetry.setLsn("server", system.lsn);
    return { ...system, isStandby, history, slotLsn: undefined };
  }

  async #receive(files: WalFiles, state: ServerState, segmentSizeBytes: number, mode: number): Promise<void> {
    const { telemetry, lag, memory, log, settings } = this.#options;
    const { start, since } = this.#chooseStart(state, segmentSizeBytes);
    telemetry.setLsn("streamStart", start.lsn);
    lag.restart(state.lsn, start.lsn, since);
    const begun = `${start.timeline}:${start.lsn}`;
    log(memory.begun === begun ? "debug" : "info", "Reception begins", {
      slot: settings.slot,
      timeline: start.timeline,
      position: formatLsn(start.lsn),
      source: start.source,
      behind_bytes: Number(state.lsn - start.lsn),
    });
    memory.begun = begun;
    let next: NextTimeline | undefined = start;
    while (next) {
      const { timeline, lsn }: NextTimeline = next;
      const rows = await this.#receiveTimeline(files, state, { timeline, lsn }, mode);
      next = rows && this.#readNext(rows, timeline, files.written, segmentSizeBytes);
    }
  }

  #chooseStart(state: ServerState, segmentSizeBytes: number): { start: StartPosition; since: number } {
    const { settings, memory, disk, telemetry, log } = this.#options;
    this.#rememberArchive(segmentSizeBytes);
    const known = memory.systemIdentifier;
    if (known !== undefined && known !== state.systemIdentifier && memory.last)
      throw new GapError(
        "system_identifier",
        `Cannot go on: the WAL received is of the system ${known}, the server is ${state.systemIdentifier}`,
      );
    const now = Date.now() / 1000;
    if (memory.beyondGap) {
      const slotLsn = memory.beyondGap === "slot" ? state.slotLsn : undefined;
      return { start: withoutFiles({ ...state, slotLsn }, segmentSizeBytes), since: now };
    }
    const { segments, ignored, newestHistory } = readHoldings(settings.directory, segmentSizeBytes);
    // Even without WAL of it: a restore would follow this history, away from what the server writes now.
    if (newestHistory && newestHistory.timeline > state.timeline)
      throw new GapError(
        "timeline",
        `Cannot go on: ${newestHistory.file} is the history of a timeline that the server, on timeline ${state.timeline}, does not know`,
        { file: newestHistory.file },
      );
    let newestAt = 0;
    const looked = function* () {
      for (const segment of segments) {
        newestAt ||= segment.modifiedAt;
        yield segment;
      }
    };
    const start = chooseStart(looked(), memory.last, state, segmentSizeBytes);
    for (const { file, reason } of ignored) {
      if (!memory.ignored.has(file)) log("warn", "A file in the receive folder is not used", { file, reason });
      memory.ignored.add(file);
    }
    if (start.forkBehind) this.#onFork(start);
    // What an earlier process wrote may be in this machine's memory only.
    if (start.file !== undefined && newestAt > 0) {
      const name = [start.file, join("wal-archive", start.file)].find((one) =>
        existsSync(join(settings.directory, one)),
      );
      if (name !== undefined) disk.syncFile(join(settings.directory, name));
      disk.syncFolder(settings.directory);
    }
    telemetry.setLsn("flushed", start.lsn);
    return { start, since: newestAt > 0 ? newestAt / 1000 : now };
  }

  /** What the archive ends with counts like a segment that was completed here: the folder may have lost it since. */
  #rememberArchive(segmentSizeBytes: number): void {
    const { memory } = this.#options;
    const { lastArchived } = memory;
    memory.lastArchived = undefined;
    if (lastArchived === undefined || memory.last !== undefined) return;
    memory.last = parseSegmentName(lastArchived.name, segmentSizeBytes);
    memory.systemIdentifier = lastArchived.systemIdentifier;
  }

  /** @returns What follows when the timeline has ended; undefined when reception has. */
  async #receiveTimeline(
    files: WalFiles,
    state: ServerState,
    { timeline, lsn }: NextTimeline,
    mode: number,
  ): Promise<readonly ReplicationRow[] | undefined> {
    const { connection, settings, telemetry, disk, lag, signal, memory, tell, onStreaming } = this.#options;
    const history = await keepHistory(timeline, this.#server, { directory: settings.directory, disk, mode });
    if (history !== undefined) {
      telemetry.add("historyFiles");
      tell({ kind: "history", name: history });
    }
    files.begin(timeline, lsn);
    telemetry.set("timeline", timeline);
    const stream = new WalStream({
      settings,
      files,
      telemetry,
      lag,
      place: connection.place,
      abort: () => connection.destroy(),
      checkFolder: this.#options.checkFolder,
      serverLsn: state.lsn,
      stuckAt: memory.stuckAt ?? 0n,
      onStreaming: () => {
        memory.beyondGap = undefined;
        memory.stuckAt = undefined;
        memory.systemIdentifier = state.systemIdentifier;
        onStreaming();
      },
    });
    const command = `START_REPLICATION SLOT "${settings.slot}" PHYSICAL ${formatLsn(lsn)} TIMELINE ${timeline}`;
    const answer = await connection.start(command, stream, { timeoutMs: settings.connectTimeoutMs, signal });
    // The timeline ends exactly here: the server answers with the next one at once.
    if (answer.kind === "end-of-timeline") return answer.rows;
    this.#stream = stream;
    try {
      const rows = await stream.run(answer.stream);
      return stream.isFinishedByUs ? undefined : rows;
    } finally {
      this.#stream = undefined;
      this.#settle(files);
    }
  }

  /** What came last and was not acknowledged may be all that is left of it. */
  #settle(files: WalFiles): void {
    const { telemetry, log } = this.#options;
    try {
      files.flush();
      telemetry.setLsn("flushed", files.flushed);
    } catch (error) {
      log("warn", "The last WAL could not be flushed", {
        error: error instanceof Error ? error.message : String(error),
      });
    }
    files.close();
  }

  #readNext(
    rows: readonly ReplicationRow[],
    timeline: number,
    written: bigint,
    segmentSizeBytes: number,
  ): NextTimeline {
    const { connection, settings, log } = this.#options;
    const { timeline: next, lsn: fork } = readFork(rows, { timeline, written }, connection.place);
    log("info", "The server goes on with another timeline", {
      timeline,
      next_timeline: next,
      position: formatLsn(fork),
    });
    const file = fileBeyond(settings.directory, { timeline, lsn: fork }, segmentSizeBytes);
    if (file !== undefined) this.#onFork({ forkBehind: { timeline, endLsn: fork }, timeline: next, file });
    return { timeline: next, lsn: segmentStart(segmentAt(fork, segmentSizeBytes), segmentSizeBytes) };
  }

  #onSegment(name: string, segmentSizeBytes: number): void {
    const { telemetry, memory, tell } = this.#options;
    memory.last = parseSegmentName(name, segmentSizeBytes);
    telemetry.add("segments");
    tell({ kind: "segment", name });
  }

  #onSetAside(file: string, reason: string): void {
    const { telemetry, log, settings } = this.#options;
    telemetry.add("setAsideFiles");
    log("warn", "A file stood in the way and was moved", { file, reason, to: join(settings.directory, "set-aside") });
  }

  /** An asynchronous standby was promoted: what the old primary wrote beyond is archived, and on no server any more. */
  #onFork({ forkBehind, timeline, file }: Pick<StartPosition, "forkBehind" | "timeline" | "file">): void {
    if (!forkBehind) return;
    const { memory, telemetry, log } = this.#options;
    const key = `${forkBehind.timeline}:${forkBehind.endLsn}`;
    if (memory.fork === key) return;
    memory.fork = key;
    telemetry.add("forksBehind");
    log(
      "warn",
      "The server left the timeline before the end of what was received; those transactions are in the archive only",
      {
        timeline: forkBehind.timeline,
        position: formatLsn(forkBehind.endLsn),
        next_timeline: timeline,
        newest: file,
      },
    );
  }

  /** Accepts a gap: whatever cannot be continued is moved, nothing is deleted. */
  #goBeyond(gap: GapError, files: WalFiles, state: ServerState, segmentSizeBytes: number): void {
    const { memory, settings, telemetry, tell, log } = this.#options;
    const { reason, message: error } = gap;
    telemetry.addToList("gaps", gapReasons.indexOf(reason));
    tell({ kind: "gap", reason, refused: false, message: error });
    if (reason === "slot_lost") log("warn", "The server has given the replication slot up; it is made anew", { error });
    else log("error", "There is a gap in the WAL; reception goes on behind it, as on_gap says", { reason, error });
    files.close();
    if (reason === "slot_lost") return;
    if (reason === "wal_removed") {
      const hasSlot = (memory.lostSlot ?? state.slotLsn) !== undefined;
      memory.beyondGap = memory.beyondGap === undefined && hasSlot ? "slot" : "server";
      return;
    }
    memory.last = undefined;
    memory.systemIdentifier = state.systemIdentifier;
    for (const file of filesInTheWay(settings.directory, gap, state, segmentSizeBytes))
      files.setAside(file, `gap: ${reason}`);
  }
}
