/** The compiled executable with a command that stands in for wal-g. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { join } from "node:path";
import { runOnce, startAgent } from "../harness/agent.ts";
import { createFolder } from "../harness/folders.ts";
import { waitFor } from "../harness/wait.ts";
import { family, goldenPage, samplesOf, steadyPage } from "../harness/walg-page.ts";
import { fixture, isRunning, StandIn } from "../harness/walg-stand-in.ts";

let standIn: StandIn;
beforeEach(async () => {
  standIn = await StandIn.create();
});
afterEach(() => standIn.remove());

/** JSON is YAML. */
const yamlOf = (config: Record<string, unknown> = {}) =>
  `plugins: ${JSON.stringify({ walg: { interval: "1s", config: standIn.config(config) } })}\n`;

/** The plugin's lines; the agent's own metrics stand around them. */
const linesOf = (page: string) =>
  steadyPage(page, "runs")
    .split("\n")
    .filter((line) => /^(?:# (?:HELP|TYPE) )?walg_/.test(line));
const golden = async () => linesOf(await Bun.file(goldenPage).text());

const isWhole = (page: string) =>
  ["walg_wal_verify_status", "walg_timeline_info", "walg_storage_up", "walg_version_info"].every((name) =>
    page.includes(`\n${name}`),
  );

test("the page has all families of F1, to the letter", async () => {
  await using agent = await startAgent(yamlOf());
  const wanted = await golden();
  let page = "";
  // What is published before all commands have answered is less. What follows says what is missing.
  const isThere = async () => {
    page = await agent.scrape();
    return isWhole(page) && linesOf(page).length >= wanted.length;
  };
  await waitFor("the whole page", isThere).catch(() => {});
  expect(linesOf(page)).toEqual(wanted);
  expect(page).toContain('holdfast_plugin_info{name="walg",plugin="walg",version="0.1.0",source="built-in"} 1');
});

test("collect prints the same, waits for every command and leaves none", async () => {
  await using folder = await createFolder("holdfast-e2e");
  await Bun.write(join(folder.path, "holdfast.yml"), yamlOf());
  const { status, stdout } = await runOnce(["collect", "walg", "-c", "holdfast.yml"], { cwd: folder.path });
  expect(status).toBe(0);
  expect(linesOf(stdout)).toEqual(await golden());
});

test("a hanging wal-verify neither keeps the first page nor the next lists of backups", async () => {
  await standIn.reply("wal-verify-integrity-timeline", { behaviour: "stubborn" });
  await using agent = await startAgent(yamlOf({ list: { interval: "200ms" } }));
  const has = (what: string, holds: (page: string) => boolean) =>
    waitFor(what, async () => {
      const page = await agent.scrape();
      return holds(page) && page;
    });
  const begin = performance.now();
  const first = await has("the first page", (page) => page.includes("walg_backups{"));
  expect(performance.now() - begin).toBeLessThan(5_000);
  expect(family(first, "walg_backups")).toEqual({ '{backup_type="delta"}': 1, '{backup_type="full"}': 2 });
  const records = JSON.parse(await fixture("f1/backup-list.json"));
  await standIn.reply("backup-list", { stdout: JSON.stringify(records.slice(0, 2)) });
  const next = await has("the next list", (page) => page.includes('walg_backups{backup_type="delta"} 0'));
  expect(samplesOf(next)['walg_scrape_success{operation="backup-list"}']).toBe(1);
  expect(next).not.toContain("walg_wal_verify_status");
  const scrape = performance.now();
  await agent.scrape();
  expect(performance.now() - scrape).toBeLessThan(100);

  const processes = await standIn.processes();
  expect(await Promise.all(processes.map(isRunning))).toContain(true);
  const end = performance.now();
  expect(await agent.stop()).toBe(0);
  expect(performance.now() - end).toBeLessThan(5_000);
  await waitFor("its processes to end", async () => !(await Promise.all(processes.map(isRunning))).includes(true));
}, 120_000);

test("a list that hangs keeps nobody from seeing whether the storage answers", async () => {
  await standIn.reply("backup-list", { behaviour: "hang" });
  await using agent = await startAgent(yamlOf());
  const page = await waitFor("the storage's pulse", async () => {
    const text = await agent.scrape();
    return text.includes("walg_storage_up 1") && text;
  });
  expect(page).not.toContain("walg_backups{");
  expect(samplesOf(page)['walg_errors_total{error_type="command_failed",operation="backup-list"}']).toBe(0);
});

test("a missing wal-g is told with its reason, and the page stays", async () => {
  await using agent = await startAgent(yamlOf({ path: "/nonexistent/wal-g" }));
  const page = await waitFor("the failure", async () => {
    const text = await agent.scrape();
    const isCounted = /^holdfast_collect_failures_total\{name="walg",reason="spawn"\} [1-9]/m.test(text);
    return text.includes("walg_storage_up 0") && isCounted && text;
  });
  expect(samplesOf(page)).toMatchObject({
    'walg_command_errors_total{operation="backup-list",reason="spawn"}': 1,
    walg_storage_up: 0,
  });
});

test("check names the file, the place and the meant key of what is wrong", async () => {
  await using folder = await createFolder("holdfast-e2e");
  await Bun.write(
    join(folder.path, "holdfast.yml"),
    `plugins:
  walg:
    config:
      list: { intervall: 60s }
      wal_segment_size: 17MiB
      compat: released
      ignore_wal_before: "00000001"
`,
  );
  const { status, stderr } = await runOnce(["check", "-c", "holdfast.yml"], { cwd: folder.path });
  expect(status).toBe(2);
  for (const expected of [
    /holdfast\.yml:4:15: .*intervall.*did you mean "interval"\?/,
    /holdfast\.yml:5:25: Cannot read plugins\.walg\.config\.wal_segment_size "17MiB": .*power of two from 1MiB to 1GiB/,
    /holdfast\.yml:6:15: Cannot read plugins\.walg\.config\.compat "released": .*readme/,
    /holdfast\.yml:7:26: Cannot read plugins\.walg\.config\.ignore_wal_before "00000001": .*24 hexadecimal digits/,
  ])
    expect(stderr).toMatch(expected);
});
