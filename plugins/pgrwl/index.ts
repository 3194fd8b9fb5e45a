/** Receives WAL over streaming replication, durable before it is acknowledged, byte for byte as pg_receivewal writes it. */
import { definePlugin } from "holdfast";
import { check } from "./check.ts";
import { checkDirectory } from "./check-directory.ts";
import { ReceiverInstance } from "./instance.ts";
import { ServingInstance } from "./serving-instance.ts";
import { settings } from "./settings.ts";

export default definePlugin({
  name: "pgrwl",
  description: "Receives the WAL of a PostgreSQL server, as it is written",
  version: "0.1.0",
  config: settings,
  defaults: { interval: "5s", timeout: "10s" },
  check,
  async setup(context) {
    const { directory, notes } = context.config;
    for (const { level, key, here } of notes) context.log[level]("Read a key of the original", { key, here });
    if (!context.config.receive) return new ServingInstance(context);
    await checkDirectory(directory);
    return new ReceiverInstance(context);
  },
});
