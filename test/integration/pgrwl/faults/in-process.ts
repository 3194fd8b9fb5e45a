/** The receiver without its thread and its agent, where a test needs thousands of attempts: it waits a millisecond before the next. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { formatLsn, parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { Disk } from "../../../../plugins/pgrwl/receiver/disk.ts";
import type { FromThread, ReceiverSettings } from "../../../../plugins/pgrwl/receiver/protocol.ts";
import { Receiver } from "../../../../plugins/pgrwl/receiver/receiver.ts";
import { Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { createFolder } from "../../../harness/folders.ts";
import type { PostgresServer } from "../../../harness/postgres.ts";
import { waitFor } from "../../../harness/wait.ts";
import { createSlot, currentLsn } from "../../../harness/wal-receiver.ts";

export interface InProcess extends AsyncDisposable {
  readonly directory: string;
  readonly telemetry: Telemetry;
  /** What it said. */
  readonly messages: readonly FromThread[];
  /** Waits until it has flushed all that the server has. */
  caughtUp(server: PostgresServer): Promise<void>;
  stop(): Promise<void>;
}

/** @param settings Beside or instead of those of the test; a slot that the receiver may create is its own to make. */
export async function startInProcess(
  server: PostgresServer,
  through: { readonly host: string; readonly port: number },
  slot: string,
  settings: Partial<ReceiverSettings> = {},
): Promise<InProcess> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-received"));
  const directory = settings.directory ?? join(folder.path, "wal");
  await mkdir(directory, { recursive: true });
  if (!settings.createSlot) await createSlot(server, slot);
  const telemetry = new Telemetry();
  const messages: FromThread[] = [];
  const { host, port } = through;
  const connection = { host, port: String(port), user: "postgres", sslmode: "disable", gssencmode: "disable" };
  const receiver = new Receiver({
    settings: {
      directory,
      slot,
      connection,
      createSlot: false,
      applicationName: slot,
      onGap: "refuse",
      noLoop: false,
      endPosition: undefined,
      statusIntervalMs: 10_000,
      receiveTimeoutMs: 20_000,
      connectTimeoutMs: 5000,
      firstBackOffMs: 1,
      longestBackOffMs: 1,
      flushIntervalMs: 10,
      flushBytes: 4 * 2 ** 20,
      ...settings,
    },
    environment: {},
    telemetry,
    disk: new Disk(),
    tell: (message) => void messages.push(message),
  });
  const running = receiver.run();
  const stop = async () => {
    receiver.stop();
    await running;
  };
  cleanup.defer(stop);
  const owned = cleanup.move();
  return {
    directory,
    telemetry,
    messages,
    async caughtUp(from) {
      const wanted = parseLsn(await currentLsn(from)) ?? 0n;
      const isThere = () => telemetry.state === "streaming" && telemetry.lsn("flushed") >= wanted;
      await waitFor(`the flush of ${formatLsn(wanted)}`, isThere, 60_000).catch((cause) => {
        throw new Error(JSON.stringify(messages.slice(-6)), { cause });
      });
    },
    stop,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
