import { expect, test } from "bun:test";
import { join } from "node:path";
import { Hono } from "hono";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import { systemHeader } from "../../../../plugins/common/wal-archive/serve-headers.ts";
import { gapReasons, type Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { settings } from "../../../../plugins/pgrwl/settings.ts";
import { WalService } from "../../../../plugins/pgrwl/wal-service.ts";
import { createFolder } from "../../../harness/folders.ts";
import { walSegment } from "../../../harness/wal-segment.ts";
import { streaming } from "./receiver-under-test.ts";

const ofServer = "7507672962298572862";

/** Routes of an instance of this configuration, whose server says that it is {@link ofServer}. */
function routes(directory: string, config: object, telemetry: Telemetry): Hono {
  const context = {
    name: "wal",
    config: settings.parse({ slot: "s", ...config, directory }),
    metrics: new InstanceMetrics([]),
    log: { error() {}, warn() {}, info() {}, debug() {} },
    run: () => Promise.reject(new Error("nothing is run")),
    signal: new AbortController().signal,
    publish: () => Promise.resolve(),
    now: () => Date.now(),
  };
  const app = new Hono();
  const systemIdentifier = () => ofServer;
  new WalService({ context, telemetry, archiver: undefined, systemIdentifier, onChange() {} }).addRoutes(app);
  return app;
}

/** What an instance of this configuration answers to a question for WAL that it does not have. */
async function asked(config: object): Promise<number> {
  await using folder = await createFolder("holdfast-service");
  const response = await routes(folder.path, config, streaming()).request("/wal/000000010000000000000009");
  return response.headers.has("holdfast-wal") ? response.status : 0;
}

test("WAL is served to nobody unless serve: says so, whatever the original's keys say", async () => {
  expect(await asked({})).toBe(0);
  expect(await asked({ serve: { enabled: false } })).toBe(0);
  expect(await asked({ main: { listen_port: 7070 }, receiver: { slot: "s" }, storage: { name: "local" } })).toBe(0);
  expect(await asked({ serve: {} })).toBe(404);
  expect(await asked({ serve: { token: "0123456789abcdef" } })).toBe(0);
});

test("a server that is refused, for it is another cluster's, does not say whose WAL is here", async () => {
  await using folder = await createFolder("holdfast-service");
  await Bun.write(join(folder.path, "000000010000000000000001"), walSegment({ number: 1, systemIdentifier: 7_331n }));
  const telemetry = streaming();
  const app = routes(folder.path, { serve: {} }, telemetry);
  const told = async () => (await app.request("/wal/000000010000000000000009")).headers.get(systemHeader);
  expect(await told()).toBe(ofServer);
  telemetry.setInList("gapOpen", gapReasons.indexOf("system_identifier"), 1);
  expect(await told()).toBe("7331");
});
