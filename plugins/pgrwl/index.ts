/** Receives WAL over streaming replication, durable before it is acknowledged, byte for byte as pg_receivewal writes it. */
import { constants } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { definePlugin } from "holdfast";
import { ReceiverInstance } from "./instance.ts";
import { settings } from "./settings.ts";

export default definePlugin({
  name: "pgrwl",
  description: "Receives the WAL of a PostgreSQL server, as it is written",
  version: "0.1.0",
  config: settings,
  defaults: { interval: "5s", timeout: "10s" },
  async setup(context) {
    const { directory, notes } = context.config;
    for (const { level, key, here } of notes) context.log[level]("Read a key of the original", { key, here });
    await makeDirectory(directory);
    return new ReceiverInstance(context);
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
