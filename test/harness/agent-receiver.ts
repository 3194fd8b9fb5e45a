/** The compiled agent with one instance of the pgrwl plugin. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Agent, startAgent } from "./agent.ts";
import { createFolder } from "./folders.ts";
import type { PostgresServer } from "./postgres.ts";
import { waitFor } from "./wait.ts";
import { createSlot, isStreaming, type WalReceiver } from "./wal-receiver.ts";

export interface AgentReceiverOptions {
  readonly slot: string;
  /** Default: a folder of its own, which goes with it. */
  readonly directory?: string;
  /** Further settings of the instance. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Where to connect, if not to the server itself. */
  readonly through?: { readonly host: string; readonly port: number };
  /** False: the slot is the agent's to make. Default true: it is there, and keeps WAL from now on. */
  readonly makeSlot?: boolean;
}

export interface AgentReceiver extends WalReceiver {
  readonly agent: Agent;
}

/** The configuration of an agent whose instance `wal` receives into `directory`. */
export function receiverConfig(
  directory: string,
  { slot, config, through }: AgentReceiverOptions,
  server: PostgresServer,
) {
  const { host, port } = through ?? server;
  const settings = { directory, slot, postgres: `host=${host} port=${port} user=postgres`, ...config };
  return `plugins:\n  wal:\n    plugin: pgrwl\n    interval: 1s\n    config: ${JSON.stringify(settings)}\n`;
}

/** Returns once it streams. */
export async function startAgentReceiver(
  server: PostgresServer,
  options: AgentReceiverOptions,
): Promise<AgentReceiver> {
  const { slot, makeSlot = true } = options;
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-received"));
  const directory = options.directory ?? join(folder.path, "wal");
  await mkdir(directory, { recursive: true });
  if (makeSlot) await createSlot(server, slot);
  const agent = cleanup.use(await startAgent(receiverConfig(directory, options, server)));
  const log = () => agent.stderr.join("\n");
  const streams = () => isStreaming(server, { applicationName: slot });
  await waitFor("the agent to stream", streams, 60_000).catch((cause) => {
    throw new Error(`The agent does not stream:\n${log().slice(-3000)}`, { cause });
  });
  const owned = cleanup.move();
  return {
    agent,
    directory,
    slot,
    applicationName: slot,
    pid: agent.pid,
    async stop() {
      await agent.stop();
    },
    log,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
