import { expect, test } from "bun:test";
import { truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gapReasons, type Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { createRoutes, type Receiver } from "../../../../plugins/pgrwl/routes.ts";
import { settings } from "../../../../plugins/pgrwl/settings.ts";
import { WalListing } from "../../../../plugins/pgrwl/wal-listing.ts";
import { createFolder } from "../../../harness/folders.ts";
import { inState, now, streaming } from "./receiver-under-test.ts";

const least = { directory: "/var/lib/wal", slot: "main" };

function routes(known: Partial<Receiver> & { telemetry: Telemetry }, config: object = {}) {
  const receiver: Receiver = {
    standing: { state: known.telemetry.state },
    server: undefined,
    gap: undefined,
    ...known,
  };
  const read = settings.parse({ ...least, ...config });
  const { directory } = read;
  const segmentSizeBytes = () => known.telemetry.number("segmentSizeBytes") || undefined;
  const listing = new WalListing({ directory, signal: new AbortController().signal, segmentSizeBytes });
  return createRoutes({ settings: read, receiver, now: () => now, listing });
}

test("/healthz answers 200 and nothing else, whatever the receiver and the method", async () => {
  for (const method of ["GET", "POST", "HEAD"]) {
    const response = await routes({ telemetry: inState("refused") }).request("/healthz", { method });
    expect([response.status, await response.text()]).toEqual([200, ""]);
  }
});

test("the root leads to the status, below whatever path it is served", async () => {
  const response = await routes({ telemetry: streaming() }).request("/");
  expect([response.status, response.headers.get("location")]).toEqual([302, "status"]);
});

test("the status of a stream has the original's members, and ours beside them", async () => {
  const app = routes({
    telemetry: streaming(),
    server: { systemIdentifier: "7331", serverVersion: "15.18", timeline: 2, segmentSizeBytes: 2 ** 24 },
  });
  for (const path of ["/status", "/api/v1/status"]) {
    const response = await app.request(path);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    const text = await response.text();
    expect(text).toEndWith("}\n");
    expect(JSON.parse(text)).toEqual({
      running_mode: "receive",
      stream_status: {
        slot: "main",
        timeline: 2,
        last_flush_lsn: "0/3001000",
        uptime: "1h2m3.004s",
        running: true,
      },
      state: "streaming",
      received_lsn: "0/3002000",
      written_lsn: "0/3002000",
      server_lsn: "0/3002000",
      lag_bytes: 4096,
      server: { system_identifier: "7331", version: "15.18" },
    });
  }
});

test("without a stream it does not run; why, and until when, is told", async () => {
  const problem = "Cannot connect to db1:5432: connection refused";
  const standing = { state: "waiting", problem, nextAttemptAt: now + 4000 } as const;
  const response = await routes({ telemetry: inState("waiting"), standing }).request("/status");
  expect(await response.json()).toEqual({
    running_mode: "receive",
    stream_status: { slot: "main", running: false },
    state: "waiting",
    problem,
    next_attempt_at: "2026-01-02T12:00:04.000Z",
  });
});

test("a gap says whether WAL is refused for it still", async () => {
  const telemetry = inState("refused");
  telemetry.setInList("gapOpen", gapReasons.indexOf("wal_removed"), 1);
  const gap = { reason: "wal_removed", refused: true, message: "WAL is missing", foundAt: now } as const;
  const app = routes({ telemetry, gap });
  const found = async () => ((await (await app.request("/status")).json()) as { gap: object }).gap;
  const told = {
    reason: "wal_removed",
    refused: true,
    message: "WAL is missing",
    found_at: "2026-01-02T12:00:00.000Z",
  };
  expect(await found()).toEqual({ ...told, open: true });
  telemetry.setInList("gapOpen", gapReasons.indexOf("wal_removed"), 0);
  expect(await found()).toEqual({ ...told, open: false });
});

test("/api/v1/wals lists complete segments in the original's shape", async () => {
  await using folder = await createFolder("holdfast-routes");
  const name = "000000010000000000000003";
  const file = join(folder.path, name);
  await writeFile(file, "");
  await truncate(file, 2 ** 24);
  await utimes(file, now / 1000, now / 1000);
  await writeFile(`${file}.partial`, "");
  const response = await routes({ telemetry: streaming() }, { directory: folder.path }).request("/api/v1/wals");
  expect(await response.json()).toEqual([
    {
      ...{ name, ext: "", filename: name, size_mb: 16, uploaded_at: "2026-01-02T12:00:00.000Z", encrypted: false },
      ...{ local: true, archived: false },
    },
  ]);
});

test("the brief configuration tells that nothing is deleted", async () => {
  for (const path of ["/config", "/api/v1/brief-config"]) {
    const response = await routes({ telemetry: inState("streaming") }).request(path);
    expect(await response.text()).toBe('{"retention_enable":false}\n');
  }
});

test.each([
  "host=db1 user=repl password=geheim1 sslpassword=geheim2",
  "postgresql://repl:geheim1@db1/?sslpassword=geheim2",
  { host: "db1", user: "repl", password: "geheim1", sslpassword: "geheim2" },
])("the redacted configuration has no password of %j", async (postgres) => {
  const app = routes({ telemetry: inState("streaming") }, { postgres, end_position: "1/A0" });
  const text = await (await app.request("/api/v1/redacted-config")).text();
  expect(text).not.toContain("geheim");
  expect(JSON.parse(text)).toEqual({
    directory: "/var/lib/wal",
    slot: "main",
    create_slot: true,
    no_loop: false,
    on_gap: "refuse",
    postgres: { host: "db1", user: "repl", password: "[REDACTED]", sslpassword: "[REDACTED]" },
    end_position: "1/A0",
    status_interval: "10s",
    receive: true,
    receive_timeout: "1m0s",
    connect_timeout: "10s",
    back_off: { first: "1s", longest: "5s" },
  });
});

test("a known path with another method gets 405, an unknown one 404", async () => {
  const app = routes({ telemetry: inState("streaming") });
  for (const path of ["/status", "/api/v1/status", "/api/v1/wals", "/config", "/api/v1/redacted-config"]) {
    const response = await app.request(path, { method: "POST" });
    expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  }
  for (const path of ["/api/v1/backups", "/wal/000000010000000000000003", "/nothing"]) {
    expect((await app.request(path)).status).toBe(404);
  }
});
