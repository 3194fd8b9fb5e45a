import { expect, test } from "bun:test";
import { Hono } from "hono";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import { settings } from "../../../../plugins/pgrwl/settings.ts";
import { WalService } from "../../../../plugins/pgrwl/wal-service.ts";
import { createFolder } from "../../../harness/folders.ts";
import { streaming } from "./receiver-under-test.ts";

/** What an instance of this configuration answers to a question for WAL that it does not have. */
async function asked(config: object): Promise<number> {
  await using folder = await createFolder("holdfast-service");
  const context = {
    name: "wal",
    config: settings.parse({ slot: "s", ...config, directory: folder.path }),
    metrics: new InstanceMetrics([]),
    log: { error() {}, warn() {}, info() {}, debug() {} },
    run: () => Promise.reject(new Error("nothing is run")),
    signal: new AbortController().signal,
    publish: () => Promise.resolve(),
    now: () => Date.now(),
  };
  const none = { archiver: undefined, systemIdentifier: () => undefined, onChange() {} };
  const app = new Hono();
  new WalService({ context, telemetry: streaming(), ...none }).addRoutes(app);
  const response = await app.request("/wal/000000010000000000000009");
  return response.headers.has("holdfast-wal") ? response.status : 0;
}

test("WAL is served to nobody unless serve: says so, whatever the original's keys say", async () => {
  expect(await asked({})).toBe(0);
  expect(await asked({ serve: { enabled: false } })).toBe(0);
  expect(await asked({ main: { listen_port: 7070 }, receiver: { slot: "s" }, storage: { name: "local" } })).toBe(0);
  expect(await asked({ serve: {} })).toBe(404);
  expect(await asked({ serve: { token: "0123456789abcdef" } })).toBe(0);
});
