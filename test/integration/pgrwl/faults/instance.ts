/** The compiled agent with one receiver, whatever state it gets into; and what the tests of faults ask of it. */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { type Agent, startAgent } from "../../../harness/agent.ts";
import { receiverConfig } from "../../../harness/agent-receiver.ts";
import { createFolder } from "../../../harness/folders.ts";
import type { PostgresServer } from "../../../harness/postgres.ts";
import { sampleValue } from "../../../harness/samples.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createSlot, currentLsn, type WalReceiver } from "../../../harness/wal-receiver.ts";
import { type FolderCheck, folderFaults } from "../kill/folder-check.ts";

export const slot = "holdfast";
export const mib = 2 ** 20;
const backOff = { first: "20ms", longest: "150ms" };

export interface Status {
  readonly stream_status: { readonly running: boolean; readonly last_flush_lsn?: string; readonly timeline?: number };
  readonly state: string;
  readonly problem?: string;
  readonly gap?: {
    readonly reason: string;
    readonly open: boolean;
    readonly refused: boolean;
    readonly message: string;
  };
}

export interface Instance extends WalReceiver {
  readonly agent: Agent;
  status(): Promise<Status>;
  /** @throws {Error} It did not get into this state; with its log. */
  until(state: string): Promise<Status>;
  /** Waits until it has flushed all that the server has. */
  caughtUp(server: PostgresServer): Promise<void>;
  /** Of the metrics page. */
  value(name: string, labels?: Record<string, string>): Promise<number | undefined>;
  /** Waits until a sample of the metrics page has this value. */
  untilValue(name: string, labels: Record<string, string>, wanted: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  files(): Promise<string[]>;
}

export interface InstanceOptions {
  /** Default: a folder of its own. */
  readonly directory?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly through?: { readonly host: string; readonly port: number };
  /** False: the slot is the agent's to make. Default: it is there. */
  readonly makeSlot?: boolean;
  /** As whom it runs where this process is root. */
  readonly user?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Returns as soon as it is ready, whether or not it receives. */
export async function startInstance(server: PostgresServer, options: InstanceOptions = {}): Promise<Instance> {
  const { config, makeSlot = true, user, env = {} } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-received", user));
  const directory = options.directory ?? join(folder.path, "wal");
  if (user === undefined) await mkdir(directory, { recursive: true });
  if (makeSlot) await createSlot(server, slot);
  const through = options.through === undefined ? {} : { through: options.through };
  const yaml = receiverConfig(directory, { slot, config: { back_off: backOff, ...config }, ...through }, server);
  const agent = cleanup.use(await startAgent(yaml, { env, ...(user === undefined ? {} : { user }) }));
  const log = () => agent.stderr.join("\n");
  const status = async () => JSON.parse(await agent.scrape("/wal/api/v1/status")) as Status;
  const value: Instance["value"] = async (name, labels = {}) => sampleValue(await agent.scrape(), name, labels);
  const explained = async <Value>(what: string, condition: () => Promise<Value>) => {
    try {
      return await waitFor(what, condition, 60_000);
    } catch (cause) {
      throw new Error(`${JSON.stringify(await status().catch(() => undefined))}\n${log().slice(-3000)}`, { cause });
    }
  };
  const owned = cleanup.move();
  return {
    agent,
    directory,
    slot,
    applicationName: slot,
    pid: agent.pid,
    log,
    status,
    until: async (state) =>
      explained(`the state ${state}`, async () => {
        const found = await status();
        // The state is told in memory that is shared, why by a message that may come a moment later.
        const isExplained = found.problem !== undefined || !["waiting", "refused"].includes(state);
        return found.state === state && isExplained && found;
      }),
    async caughtUp(from) {
      await from.psql("SELECT pg_logical_emit_message(true, 'test', 'x')").catch(() => {});
      const wanted = parseLsn(await currentLsn(from)) ?? 0n;
      await explained(`the flush of ${wanted}`, async () => {
        const { state, stream_status } = await status();
        return state === "streaming" && (parseLsn(stream_status.last_flush_lsn ?? "") ?? 0n) >= wanted;
      });
    },
    value,
    untilValue: async (name, labels, wanted) => {
      await explained(
        `${name} ${JSON.stringify(labels)} = ${wanted}`,
        async () => (await value(name, labels)) === wanted,
      );
    },
    async kill() {
      try {
        agent.signal("SIGKILL");
      } catch {
        // It has been killed before.
      }
      await agent.exited;
    },
    async stop() {
      await agent.stop();
    },
    files: async () => (await readdir(directory)).sort(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What is wrong in a receive folder, beside the server and those that were before it; or with segments of another size. */
export function faultsIn(
  received: string,
  server: PostgresServer,
  ...others: readonly (PostgresServer | number)[]
): Promise<string[]> {
  const earlier = others.flatMap((other) => (typeof other === "number" ? [] : [other.dataFolder]));
  const segmentMiB = others.find((other) => typeof other === "number") ?? 1;
  const dataFolders: FolderCheck["dataFolders"] = [server.dataFolder, ...earlier];
  return folderFaults({ received, dataFolders, segmentSizeBytes: segmentMiB * mib, compared: new Set() });
}

/** Fills about so many segments of 1 MiB. */
export async function writeWal(server: PostgresServer, segments = 1): Promise<void> {
  const message = `SELECT pg_logical_emit_message(true, 'test', repeat('x', ${mib - 20_000}))`;
  for (let written = 0; written < segments; written++) await server.psql(message);
}
