/**
 * A primary whose only synchronous standby is the agent, writers that remember what was promised, and what can happen to
 * them. It lives through any number of faults, and through the loss of the primary with all its files.
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { type AgentReceiver, startAgentReceiver } from "../../../harness/agent-receiver.ts";
import { createFolder } from "../../../harness/folders.ts";
import { type Ledger, startLedger } from "../../../harness/ledger.ts";
import { type BaseBackup, type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { restore } from "../../../harness/restore.ts";
import { connect } from "../../../harness/sql.ts";
import { startTcpProxy, type TcpProxy } from "../../../harness/tcp-proxy.ts";
import { waitFor } from "../../../harness/wait.ts";
import { type FolderCheck, folderFaults } from "./folder-check.ts";

const slot = "holdfast";
const segmentMiB = 1;
export const segmentSizeBytes = segmentMiB * 2 ** 20;
/** Everything stays at the server, to be compared; the same on a restored one. */
const settings = { synchronous_standby_names: slot, wal_keep_size: "16GB", max_wal_size: "8GB", autovacuum: "off" };
const backOff = { first: "20ms", longest: "100ms" };
/** Commits behind a fault that show that everything goes on. */
const progress = 8;

export class KillScene implements AsyncDisposable {
  readonly received: string;
  /** Rows that some ledger was told to be committed, and those of which nobody knows. */
  readonly #acknowledged = new Set<number>();
  readonly #unknown = new Set<number>();
  readonly #cleanup: AsyncDisposableStack;
  readonly #proxy: TcpProxy;
  #server: PostgresServer;
  #receiver: AgentReceiver | undefined;
  #ledger: Ledger | undefined;
  #backup: BaseBackup | undefined;
  #compared = new Set<string>();
  #comparedBefore = 0;

  private constructor(server: PostgresServer, proxy: TcpProxy, received: string) {
    this.#server = server;
    this.#proxy = proxy;
    this.received = received;
    this.#cleanup = new AsyncDisposableStack();
  }

  static async start(version: number): Promise<KillScene> {
    await using cleanup = new AsyncDisposableStack();
    const folder = cleanup.use(await createFolder("holdfast-kill"));
    const received = join(folder.path, "wal");
    await mkdir(received);
    const server = await startPostgres(settings, { version, segmentMiB });
    const proxy = await startTcpProxy({ host: server.host, port: server.port });
    const scene = new KillScene(server, proxy, received);
    cleanup.defer(() => scene.#server[Symbol.asyncDispose]());
    cleanup.defer(() => scene.#backup?.[Symbol.asyncDispose]());
    cleanup.use(proxy);
    cleanup.defer(() => scene.#receiver?.[Symbol.asyncDispose]());
    cleanup.defer(() => scene.#endLedger());
    await scene.startAgent();
    await scene.#beginAnew();
    scene.#cleanup.use(cleanup.move());
    return scene;
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size + (this.#ledger?.acknowledged.size ?? 0);
  }
  get comparedCount(): number {
    return this.#comparedBefore + this.#compared.size;
  }
  get dataFolder(): string {
    return this.#server.dataFolder;
  }
  /** What the agent said last, for the message of a failure. */
  lastWords(): string {
    return `${this.#receiver?.log().slice(-2000)}\n${this.#server.log().slice(-1000)}`;
  }

  // What can be done to them

  async startAgent(): Promise<void> {
    const config = { back_off: backOff };
    const options = { slot, directory: this.received, config, through: this.#proxy, makeSlot: false };
    await this.#receiver?.[Symbol.asyncDispose]();
    this.#receiver = await startAgentReceiver(this.#server, options);
  }
  signalAgent(signal: NodeJS.Signals): void {
    this.#receiver?.agent.signal(signal);
  }
  /** Waits for the end that a signal brings. */
  async agentEnded(): Promise<void> {
    await this.#receiver?.agent.exited;
  }
  crashServer(): Promise<void> {
    return this.#server.crash();
  }
  stopServer(): Promise<void> {
    return this.#server.stop();
  }
  startServer(): Promise<void> {
    return this.#server.start();
  }
  get connections(): ReturnType<TcpProxy["open"]> {
    return this.#proxy.open();
  }
  /**
   * Cuts the connection, and lets only so many bytes of the next one through to the agent, which catches up then: what it
   * acknowledges beyond them would be lost if the server were. Acknowledgements go through.
   */
  stallWhileCatchingUp(bytes: number): void {
    const proxy = this.#proxy;
    proxy.faults = {
      chunkBytes: () => {
        const connection = proxy.connections.at(-1);
        if (connection && connection.bytes("toClient") >= bytes) connection.stall("toClient");
        return 16_384;
      },
    };
    for (const connection of proxy.open()) connection.cut();
  }
  /** New connections are not disturbed. */
  endStalls(): void {
    this.#proxy.faults = {};
  }
  async terminateSender(): Promise<void> {
    await this.#server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
  }
  switchWal(): Promise<unknown> {
    return this.#server.psql("SELECT pg_switch_wal()").catch(() => {});
  }
  /** One long record, through several segments, which nobody has flushed as a whole when the fault comes. */
  writeLongRecord(bytes: number): void {
    const write = async () => {
      const client = await connect(this.#server);
      await client.query(`SELECT pg_logical_emit_message(false, 'kill', repeat('x', ${bytes}))`);
      await client.end();
    };
    void write().catch(() => {});
  }

  // What must hold

  /** Waits until commits are acknowledged again. */
  async goOn(): Promise<void> {
    const before = this.acknowledgedCount;
    await waitFor("commits to go on", () => this.acknowledgedCount >= before + progress, 60_000);
  }

  /** @throws {Error} The receive folder is not what it must be now. */
  async check(): Promise<void> {
    await this.#compare(await this.flushed());
  }

  /** What the server was told to be flushed; undefined while nothing is streamed. */
  async flushed(): Promise<{ lsn: bigint; timeline: number } | undefined> {
    const ask = `SELECT flush_lsn, pg_walfile_name(pg_current_wal_lsn()) FROM pg_stat_replication
      WHERE application_name = '${slot}' AND state = 'streaming'`;
    const [lsn = "", name = ""] = (await this.#server.psql(ask)).trim().split("|");
    const position = parseLsn(lsn);
    return position === undefined ? undefined : { lsn: position, timeline: Number.parseInt(name.slice(0, 8), 16) };
  }

  /**
   * The primary is killed and its files are gone; another is restored from the base backup and the receive folder in its
   * place, checked for every row that was acknowledged, and all goes on with it.
   * @param options.from What is restored instead of the receive folder itself: a copy, to see that a loss is noticed.
   * @throws {Error} Rows that were acknowledged are missing, or there are rows that never were.
   */
  async disaster({ killsAgent, from }: { killsAgent: boolean; from?: () => Promise<string> }): Promise<void> {
    await this.#server.crash();
    if (killsAgent) {
      this.signalAgent("SIGKILL");
      await this.agentEnded();
    }
    await this.#endLedger();
    await this.#compare(undefined);
    const { port } = this.#server;
    const backup = this.#backup;
    if (backup === undefined) throw new Error("There is no base backup");
    this.#backup = undefined;
    await this.#server[Symbol.asyncDispose]();
    this.#server = await restore(backup, (await from?.()) ?? this.received, { port, settings });
    const differences = await this.#ledgerDifferences();
    if (differences.length > 0)
      throw new Error(`The restored server is not what it must be:\n${differences.slice(0, 20).join("\n")}`);
    this.#comparedBefore += this.#compared.size;
    // The folder of the server that is restored now begins where its base backup does.
    this.#compared = new Set((await readdir(this.received)).filter((name) => name.length === 24));
    this.#comparedBefore -= this.#compared.size;
    if (killsAgent) await this.startAgent();
    await this.#beginAnew();
  }

  async #beginAnew(): Promise<void> {
    this.#ledger = await startLedger(this.#server, { rowBytes: 1000 });
    this.#backup = await this.#server.baseBackup();
  }

  async #endLedger(): Promise<void> {
    await this.#ledger?.stop();
    for (const id of this.#ledger?.acknowledged ?? []) this.#acknowledged.add(id);
    for (const id of this.#ledger?.unknown ?? []) this.#unknown.add(id);
    this.#ledger = undefined;
  }

  async #ledgerDifferences(): Promise<string[]> {
    const rows = await this.#server.psql("SELECT id FROM ledger");
    const ids = new Set(rows.split("\n").filter(Boolean).map(Number));
    const lost = [...this.#acknowledged]
      .filter((id) => !ids.has(id))
      .map((id) => `${id} was acknowledged and is missing`);
    const invented = [...ids].filter((id) => !this.#acknowledged.has(id) && !this.#unknown.has(id));
    return [...lost, ...invented.map((id) => `${id} is there and was never sent`)];
  }

  async #compare(flushed: { lsn: bigint; timeline: number } | undefined): Promise<void> {
    const { received } = this;
    const dataFolders: FolderCheck["dataFolders"] = [this.#server.dataFolder];
    const check = { received, dataFolders, segmentSizeBytes, flushed };
    let faults: string[] = [];
    // A folder that is read while a file in it is renamed may show both names, or neither.
    for (let attempt = 0; attempt < 3; attempt++) {
      faults = await folderFaults({ ...check, compared: this.#compared });
      if (faults.length === 0) return;
    }
    throw new Error(`The receive folder is not what it must be:\n${faults.slice(0, 20).join("\n")}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup.disposeAsync();
  }
}
