/** Receives WAL over streaming replication, durable before it is acknowledged, byte for byte as pg_receivewal writes it. */
import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { definePlugin } from "holdfast";
import { DirectorySpace } from "./directory-space.ts";
import { ReceiverMetrics } from "./metrics.ts";
import { ReceiveRate } from "./receive-rate.ts";
import { ReceiverThread } from "./receiver-thread.ts";
import { createRoutes } from "./routes.ts";
import { receiverSettings, settings } from "./settings.ts";
import { receiverStatus } from "./status.ts";

export default definePlugin({
  name: "pgrwl",
  description: "Receives the WAL of a PostgreSQL server, as it is written",
  version: "0.1.0",
  config: settings,
  defaults: { interval: "5s", timeout: "10s" },
  async setup({ config, metrics, log, now }) {
    for (const { level, key, here } of config.notes) log[level]("Read a key of the original", { key, here });
    await makeDirectory(config.directory);
    const startedAt = now() / 1000;
    // libpq's variables are the agent's own; instances add theirs by `postgres`.
    const receiver = new ReceiverThread({ settings: receiverSettings(config), environment: process.env, log, now });
    const page = new ReceiverMetrics(metrics);
    const space = new DirectorySpace(config.directory);
    const rate = new ReceiveRate();
    let freeBytes: number | undefined;
    return {
      async collect({ signal }) {
        const room = await space.read(signal);
        freeBytes = room?.freeBytes;
        const { telemetry, standing, server, lastSegmentAt } = receiver;
        const seconds = now() / 1000;
        rate.add(seconds, telemetry.number("receivedBytes"));
        page.show({
          now: seconds,
          startedAt,
          telemetry,
          standing,
          server,
          lastSegmentAt: lastSegmentAt === undefined ? undefined : lastSegmentAt / 1000,
          space: room,
          bytesPerSecond: rate.bytesPerSecond,
        });
      },
      http: createRoutes({ settings: config, receiver, now }),
      status: () => {
        const { telemetry, standing, server } = receiver;
        return receiverStatus({ slot: config.slot, telemetry, standing, server, freeBytes });
      },
      start: ({ signal }) => receiver.run(signal),
      stop: () => receiver.stop(),
    };
  },
});

/** @throws {Error} It cannot be made, or not be written to. */
async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o750 });
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot receive WAL into ${directory}: ${found}; make it writable for the agent's user`, { cause });
  }
}
