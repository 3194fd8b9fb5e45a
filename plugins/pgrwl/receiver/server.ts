/** What a server says of itself over a replication connection. */
import { parseLsn } from "../../common/postgres/lsn.ts";
import type { ReplicationConnection, ReplicationRow } from "../../common/postgres/replication.ts";
import { ReplicationError } from "../../common/postgres/replication-error.ts";
import { type Ancestor, historyFileName, parseTimelineHistory } from "../../common/postgres/timeline-history.ts";
import { isSegmentSize } from "../../common/postgres/wal-segments.ts";

/** READ_REPLICATION_SLOT came with version 15. */
export const oldestVersion = 150_000;

export interface SystemFacts {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly lsn: bigint;
}

export interface Slot {
  /** Undefined: it keeps no WAL, because it never did or because it had to keep too much. */
  readonly restartLsn: bigint | undefined;
}

/** Asks one server; each answer that makes no sense is a `protocol` error that names the command. */
export class Server {
  readonly #connection: ReplicationConnection;
  readonly #signal: AbortSignal;
  readonly #timeoutMs: number;
  #version = 0;

  constructor(connection: ReplicationConnection, { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number }) {
    this.#connection = connection;
    this.#signal = signal;
    this.#timeoutMs = timeoutMs;
  }

  /** @throws {ReplicationError} Older than {@link oldestVersion}. */
  async version(): Promise<string> {
    const number = Number(await this.#show("server_version_num"));
    this.#version = number;
    const text = this.#connection.parameter("server_version") ?? String(number);
    if (number >= oldestVersion) return text;
    throw this.#error(
      "server_error",
      `its version is ${text}; 15 or newer is needed, for it tells where a slot stands`,
    );
  }

  /**
   * Whether it streams through a slot that it has given up, and never keeps WAL for it again; 15 does from then on, and 18
   * refuses it. To be asked behind {@link version}. Source: slot.c, `ReplicationSlotsComputeRequiredLSN` of 16 and 17.
   */
  get usesLostSlots(): boolean {
    return this.#version >= 160_000 && this.#version < 180_000;
  }

  /** In bytes. */
  async segmentSize(): Promise<number> {
    const text = await this.#show("wal_segment_size");
    const [, number, unit] = /^(\d+)(MB|GB)$/.exec(text) ?? [];
    const bytes = Number(number) * (unit === "GB" ? 2 ** 30 : 2 ** 20);
    if (isSegmentSize(bytes)) return bytes;
    throw this.#error("protocol", `its wal_segment_size is ${JSON.stringify(text)}`);
  }

  /** Of the segments' files, as the server's own: 0o600, or 0o640 where its group may read. */
  async fileMode(): Promise<number> {
    return (Number.parseInt(await this.#show("data_directory_mode"), 8) & 0o050) !== 0 ? 0o640 : 0o600;
  }

  async isStandby(): Promise<boolean> {
    return (await this.#show("in_hot_standby")) === "on";
  }

  async identify(): Promise<SystemFacts> {
    const [systemIdentifier, timeline, position] = await this.#row("IDENTIFY_SYSTEM");
    const lsn = parseLsn(position ?? "");
    if (!systemIdentifier || !(Number(timeline) > 0) || lsn === undefined)
      throw this.#error("protocol", "it answers IDENTIFY_SYSTEM with what is no identifier, timeline and position");
    return { systemIdentifier, timeline: Number(timeline), lsn };
  }

  /** Undefined when there is none of this name. */
  async slot(name: string): Promise<Slot | undefined> {
    const [type, restart] = await this.#row(`READ_REPLICATION_SLOT ${quote(name)}`);
    return type == null ? undefined : { restartLsn: restart == null ? undefined : parseLsn(restart) };
  }
  /** The slot keeps WAL from now on, not only from when it is first used. */
  async createSlot(name: string): Promise<void> {
    await this.#rows(`CREATE_REPLICATION_SLOT ${quote(name)} PHYSICAL RESERVE_WAL`);
  }
  async dropSlot(name: string): Promise<void> {
    await this.#rows(`DROP_REPLICATION_SLOT ${quote(name)}`);
  }

  /** The history file of a timeline above 1, byte for byte: the reasons in it have the server's encoding. */
  async historyFile(timeline: number): Promise<Buffer> {
    const command = `TIMELINE_HISTORY ${timeline}`;
    const limits = { timeoutMs: this.#timeoutMs, signal: this.#signal };
    const [[name, content] = []] = await this.#connection.commandBytes(command, limits);
    if (name?.toString() === historyFileName(timeline) && content) return content;
    throw this.#error("protocol", `it answers ${command} with the file ${JSON.stringify(name?.toString())}`);
  }
  /** Oldest first; none for timeline 1. */
  async history(timeline: number): Promise<Ancestor[]> {
    return timeline === 1 ? [] : parseTimelineHistory((await this.historyFile(timeline)).toString("latin1"));
  }

  async #show(name: string): Promise<string> {
    return (await this.#row(`SHOW ${name}`))[0] ?? "";
  }
  async #row(command: string): Promise<ReplicationRow> {
    const rows = await this.#rows(command);
    if (rows[0]) return rows[0];
    throw this.#error("protocol", `it answers ${command} without a row`);
  }
  #rows(command: string): Promise<readonly ReplicationRow[]> {
    return this.#connection.command(command, { timeoutMs: this.#timeoutMs, signal: this.#signal });
  }
  #error(kind: ReplicationError["kind"], found: string): ReplicationError {
    return new ReplicationError(kind, `Cannot receive WAL from PostgreSQL at ${this.#connection.place}: ${found}`);
  }
}

/** An identifier of the replication grammar. */
function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
