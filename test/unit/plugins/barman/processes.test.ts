import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testPlugin } from "holdfast";
import barman from "../../../../plugins/barman/index.ts";
import { createFolder } from "../../../harness/folders.ts";
import { waitFor } from "../../../harness/wait.ts";
import { readPage } from "./page.ts";

const path = new URL("../../../harness/barman-replay", import.meta.url).pathname;
/** Short for what hangs, long for what answers: a slow machine takes its time to start a process. */
const limits = { list_backups: "1500ms", check: "20s", server: "1500ms", servers: "20s" };

/** An instance that really runs the stand-in, and the log of what it started. */
async function standIn(env: Record<string, string>, config: Record<string, unknown> = {}) {
  const folder = await createFolder("barman-processes");
  const log = join(folder.path, "starts");
  const plugin = await testPlugin(barman, {
    config: { path, env: { BUN: process.execPath, BARMAN_REPLAY_LOG: log, ...env }, timeouts: limits, ...config },
    now: () => 1795248000_000,
  });
  const lines = () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : []);
  return {
    plugin,
    /** Command lines without `-f json`. */
    starts: () => lines().map((line) => line.split(" ").slice(2).join(" ").replace("-f json ", "")),
    pids: () => lines().map((line) => Number(line.split(" ")[1])),
    [Symbol.asyncDispose]: async () => {
      await plugin.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie is dead; its parent has not asked yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("a collection starts one process a question, and one for each server's newest backup, once", async () => {
  await using barmans = await standIn({ BARMAN_REPLAY_SCENARIOS: "mixed" }, { timeouts: {} });
  const page = readPage(await barmans.plugin.collect());
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 });
  expect(barmans.starts().sort()).toEqual(["check all", "list-backups all", "show-backup pg 20261121T071840"]);
  await barmans.plugin.collect();
  expect(barmans.starts()).toHaveLength(5);
});

test("text before the answer is skipped", async () => {
  await using barmans = await standIn({ BARMAN_REPLAY_NOISE: "locale: {C} not supported" }, { timeouts: {} });
  const page = readPage(await barmans.plugin.collect());
  expect(page.of("barman_backups_total")).toEqual({ '{server="pg"}': 3 });
});

test.each(["sleep", "ignore-term", "grandchild"])(
  "list-backups that hangs (%s) is ended as a group, and check is shown",
  async (manner) => {
    await using barmans = await standIn({ BARMAN_REPLAY_HANG: "list-backups", BARMAN_REPLAY_MANNER: manner });
    const page = readPage(await barmans.plugin.collect());
    expect(page.of("barman_up")['{check="postgresql",server="pg"}']).toBe(1);
    expect(page.of("barman_backups_total")).toEqual({});
    const failures = page.of("barman_exporter_command_failures_total");
    const reason = manner === "grandchild" ? "parse" : "timeout";
    expect(failures[`{command="list-backups",reason="${reason}"}`]).toBeGreaterThan(0);
    await waitFor("the end of every process", () => barmans.pids().every((pid) => !isAlive(pid)));
  },
  120_000,
);

test("a check that hangs for one server costs only that server, and `all` is tried again once it answers", async () => {
  const hang = { BARMAN_REPLAY_SCENARIOS: "mixed", BARMAN_REPLAY_HANG: "check (all|billing-db)" };
  await using barmans = await standIn(hang, { timeouts: { ...limits, check: "5s", server: "5s" } });
  const page = readPage(await barmans.plugin.collect());
  expect(page.of("barman_up")['{check="postgresql",server="pg"}']).toBe(1);
  expect(page.of("barman_up")).not.toContainKey('{check="postgresql",server="billing-db"}');
  expect(page.of("barman_backups_total")).toEqual({ '{server="billing-db"}': 0, '{server="pg"}': 3 });
  expect(barmans.starts().filter((line) => line === "check all")).toHaveLength(1);
  await barmans.plugin.collect();
  expect(barmans.starts().filter((line) => line === "check all")).toHaveLength(1);
}, 120_000);

test("what is known is shown while another command is still awaited", async () => {
  await using barmans = await standIn({ BARMAN_REPLAY_HANG: "list-backups" }, { timeouts: { list_backups: "60s" } });
  const stop = new AbortController();
  const collecting = barmans.plugin.collect({ signal: stop.signal }).catch((error: unknown) => error);
  await waitFor(
    "the checks",
    async () => readPage(await barmans.plugin.text()).of("barman_up")['{check="wal_size",server="pg"}'],
  );
  stop.abort(new Error("end of the test"));
  expect(String(await collecting)).toContain("end of the test");
}, 120_000);

test("barman_metrics_update is what the whole collection took", async () => {
  await using barmans = await standIn({ BARMAN_REPLAY_DELAY_MS: "300" }, { timeouts: {} });
  const page = readPage(await barmans.plugin.collect());
  expect(page.of("barman_metrics_update")[""]).toBeWithin(600, 20_000);
});

test("a Barman that does not exist fails the collection with reason spawn, and the plugin lives on", async () => {
  const plugin = await testPlugin(barman, { config: { path: "/nonexistent/barman" } });
  await expect(plugin.collect()).rejects.toMatchObject({ name: "RunError", reason: "spawn" });
  await expect(plugin.collect()).rejects.toMatchObject({ reason: "spawn" });
  const warnings = plugin.logs.filter(({ level }) => level === "warn");
  expect(warnings).toHaveLength(2);
});

test("when everything hangs the collection fails with reason timeout, within the limits", async () => {
  await using barmans = await standIn({ BARMAN_REPLAY_HANG: "." }, { timeouts: { ...limits, check: "1500ms" } });
  await expect(barmans.plugin.collect()).rejects.toMatchObject({ reason: "timeout" });
}, 120_000);

test("config_file is handed on to Barman", async () => {
  await using barmans = await standIn({}, { config_file: "/etc/other.conf", timeouts: {} });
  await expect(barmans.plugin.collect()).rejects.toThrow();
  expect(barmans.starts().sort()).toEqual(["-c /etc/other.conf check all", "-c /etc/other.conf list-backups all"]);
});
