import { expect, test } from "bun:test";
import { skipHeadName, snapshotFolderFixture } from "../harness/snapshot-fixture.ts";
import { prometheusAnswering, startSnapshotServer } from "../harness/snapshot-server.ts";

const flags = (admin: string) =>
  prometheusAnswering(() => ({
    body: JSON.stringify({ status: "success", data: { "web.enable-admin-api": admin } }),
  }));

test("people see the newest snapshot, whether it was verified, and nothing that is not known", async () => {
  await using fixture = await snapshotFolderFixture();
  await using prometheus = flags("true");
  const now = Date.now();
  await using server = await startSnapshotServer({
    folder: fixture.path,
    prometheus: prometheus.url,
    now: () => now,
  });
  const status = () => server.test.instance.status?.();
  expect(status()).toEqual({ facts: expect.anything(), problem: undefined });
  await server.test.collect();
  expect(status()?.facts?.Snapshots).toBe(2);
  expect(status()?.facts?.["Newest snapshot"]).toEndWith(", not verified");
  expect(status()?.facts?.["Next backup"]).toBeUndefined();
  await server.post("/api/verify", { name: skipHeadName });
  expect(status()?.facts?.["Newest snapshot"]).toMatch(/^.+ ago, [\d.]+ KiB, verified$/);
  expect(status()?.facts?.["Last verified"]).toBe("0 s ago");
  expect(status()?.problem).toBeUndefined();
});

test("a Prometheus that takes no snapshots, and one that does not answer, are problems", async () => {
  await using prometheus = flags("false");
  await using server = await startSnapshotServer({ prometheus: prometheus.url });
  await server.test.collect();
  expect(server.test.instance.status?.().problem).toBe(
    "Prometheus takes no snapshots: start it with --web.enable-admin-api",
  );
  await using alone = await startSnapshotServer();
  await alone.test.collect();
  expect(alone.test.instance.status?.().problem).toBe("Prometheus does not answer: no snapshot can be taken");
});
