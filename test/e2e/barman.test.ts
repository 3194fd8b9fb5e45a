/** The compiled executable with the barman plugin, on recordings of a real Barman. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AgentOptions, agentExecutable, startAgent } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { findSamples, readSamples, sampleValue } from "../harness/samples.ts";
import { waitFor } from "../harness/wait.ts";

const standIn = new URL("../harness/barman-replay", import.meta.url).pathname;
const fixtures = new URL("../fixtures/barman/", import.meta.url);

/** A configuration whose Barman is the stand-in. JSON is YAML. */
const yamlOf = (config: object = {}, { interval = "1h", env = {} }: { interval?: string; env?: object } = {}) =>
  `plugins: ${JSON.stringify({
    barman: {
      interval,
      config: { path: standIn, ...config, env: { BUN: process.execPath, BARMAN_REPLAY_SCENARIOS: "mixed", ...env } },
    },
  })}\n`;

// Ids of backups are read as local time.
const inUtc: AgentOptions = { env: { TZ: "UTC" } };

const everything = ["backups", "checks", "servers", "wal", "replication"];
const pages: readonly (readonly [name: string, config: object, reference: string])[] = [
  ["exporter", {}, "reference_mixed_now-1795248000.prom"],
  ["predecessor", { compat: "predecessor" }, "predecessor_mixed_TZ-UTC.prom"],
  ["everything", { collect: everything, per_backup: { info: 2 } }, "reference_mixed_now-1795248000.prom"],
];

async function pageOf(config: object): Promise<string> {
  await using agent = await startAgent(yamlOf(config), inUtc);
  // The page is whole when the agent says that the collection succeeded.
  return await waitFor("the collection", async () => {
    const page = await agent.scrape();
    return sampleValue(page, "holdfast_collect_success", { name: "barman" }) === 1 && page;
  });
}

/**
 * The page with words in place of what differs from one run to the next, once it was seen to be right.
 * @throws An age, a moment or a duration is not what the clock of the page allows.
 */
function withoutClock(page: string): string {
  const collectedAt = sampleValue(page, "holdfast_collect_last_success_timestamp_seconds", { name: "barman" }) ?? 0;
  const endOf = (which: string, server: string | undefined) =>
    sampleValue(page, `barman_backup_${which}_end_timestamp_seconds`, { server: server ?? "" }) ?? Number.NaN;
  const words: Record<string, (value: number, server: string | undefined) => string> = {
    barman_exporter_command_duration_seconds: (value) => within(value, 0, 30, "<seconds>"),
    barman_exporter_command_last_success_timestamp_seconds: (value) =>
      within(value, collectedAt - 30, collectedAt + 1, "<now>"),
    barman_metrics_update: (value) =>
      value < 1e9 ? within(value, 1, 30_000, "<milliseconds>") : within(value, collectedAt - 2, collectedAt, "<now>"),
  };
  for (const which of ["first", "last"]) {
    words[`barman_${which}_backup`] = (value, server) => {
      if (value > 1e9) return String(value);
      const age = collectedAt - endOf(which, server);
      return within(value, age - 2, age + 1, "<age>");
    };
  }
  return page.replace(
    /^([a-z_]+)(\{.*\})? (\S+)$/gm,
    (line, name: string, labels: string | undefined, value: string) => {
      const word = words[name]?.(Number(value), /server="([^"]*)"/.exec(labels ?? "")?.[1]);
      return word === undefined ? line : `${name}${labels ?? ""} ${word}`;
    },
  );
}

function within(value: number, least: number, most: number, word: string): string {
  expect(value).toBeGreaterThanOrEqual(least);
  expect(value).toBeLessThanOrEqual(most);
  return word;
}

/** The agent's own lines, with names and labels only. */
const withoutValues = (page: string) =>
  page.replace(/^(?!#)(.*) \S+$/gm, "$1 <value>").replace(/\b(version|revision|bun_version)="[^"]+"/g, '$1="<$1>"');

/** Lines of families whose name fits, comments included. */
const familiesOf = (page: string, names: RegExp) =>
  page
    .split("\n")
    .filter((line) => names.test(line.replace(/^# (HELP|TYPE) /, "")))
    .join("\n");

/** With UPDATE_GOLDEN=1 the files are written anew; else they must be what the agent serves. */
async function expectGolden(name: string, text: string): Promise<void> {
  const file = Bun.file(new URL(`pages/${name}.prom`, fixtures));
  if (Bun.env.UPDATE_GOLDEN) await file.write(`${text}\n`);
  else expect(`${text}\n`).toBe(await file.text());
}

test.each([...pages])(
  "the whole page with %s is the golden one",
  async (name, config, reference) => {
    const page = await pageOf(config);
    await expectGolden(name, familiesOf(withoutClock(page), /^barman_/));
    await expectGolden("agent", familiesOf(withoutValues(page), /^(holdfast|process)_/));
    expect(familiesOf(page, /^(?!(barman|holdfast|process)_)./)).toBe("");

    // What the replaced exporter gave for the same recordings is in it, value by value.
    const recorded = readSamples(readFileSync(new URL(`3.4.0/expected/${reference}`, fixtures), "utf8"));
    for (const { name: metric, labels, value } of recorded) {
      if (metric === "barman_metrics_update" || /^barman_(first|last)_backup$/.test(metric)) continue;
      expect([metric, labels, sampleValue(page, metric, labels)]).toEqual([metric, labels, value]);
    }
  },
  120_000,
);

describeWith(["promtool"], "promtool check metrics", () => {
  /** Names of the replaced exporters that the linter dislikes; they stay as they are. */
  const inherited = ['barman_backups_total non-counter metrics should not have "_total" suffix'];

  async function lint(page: string) {
    const child = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new TextEncoder().encode(page),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, complaints: (stdout + stderr).split("\n").filter(Boolean).sort() };
  }

  // Status 1: cannot be read. Status 3: read, with remarks.
  test.each([...pages])(
    "accepts %s, and remarks on nothing but inherited names",
    async (_, config) => {
      const page = await pageOf(config);
      expect(await lint(page)).toEqual({ status: 3, complaints: inherited });
      const own = familiesOf(page, /^(?!barman_backups_total\b)./);
      expect(await lint(`${own}\n`)).toEqual({ status: 0, complaints: [] });
    },
    120_000,
  );
});

/** What the stand-in was started for: lines of time in ms, process id, arguments. */
async function createStarts() {
  const folder = await createFolder("holdfast-barman-starts");
  const file = join(folder.path, "starts");
  return {
    env: { BARMAN_REPLAY_LOG: file },
    read: () =>
      (existsSync(file) ? readFileSync(file, "utf8") : "")
        .split("\n")
        .filter(Boolean)
        .map((line) => {
          const [at = "", pid = "", ...args] = line.split(" ");
          return { at: Number(at), pid: Number(pid), line: args.join(" ").replace("-f json ", "") };
        }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Whether it runs; a zombie does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("with a list-backups that hangs, /metrics answers at once and checks stay fresh, and there is one copy of it", async () => {
  await using starts = await createStarts();
  const timeouts = { list_backups: "4s", server: "2s", servers: "20s" };
  const yaml = yamlOf({ timeouts }, { interval: "1s", env: { ...starts.env, BARMAN_REPLAY_HANG: "list-backups" } });
  await using agent = await startAgent(yaml, inUtc);
  const times: number[] = [];
  const freshness = new Set<number>();
  const hanging = () => starts.read().filter(({ line, pid }) => /^list-backups (all|pg)$/.test(line) && isAlive(pid));
  await waitFor(
    "checks of three collections",
    async () => {
      const before = performance.now();
      const page = await agent.scrape();
      times.push(performance.now() - before);
      expect(hanging().length).toBeLessThanOrEqual(1);
      const [success] = findSamples(page, "barman_exporter_command_last_success_timestamp_seconds", {
        command: "check",
        server: "pg",
      });
      if (success === undefined) return false;
      freshness.add(success.value);
      // At most one whole collection old, and what ends it: 4 s, 2 s, and the interval.
      expect(Date.now() / 1000 - success.value).toBeLessThan(10);
      expect(sampleValue(page, "barman_up", { check: "postgresql", server: "pg" })).toBe(1);
      return freshness.size >= 3;
    },
    60_000,
  );
  times.sort((a, b) => a - b);
  // Not the slowest of all: other work of this machine may hold up a single one.
  expect(times[Math.floor(times.length * 0.98)]).toBeLessThan(50);
  const page = await agent.scrape();
  const failures = { command: "list-backups", reason: "timeout" };
  expect(sampleValue(page, "barman_exporter_command_failures_total", failures)).toBeGreaterThan(0);
}, 120_000);

test("a Barman slower than the interval is never asked twice at a time", async () => {
  await using starts = await createStarts();
  const env = { ...starts.env, BARMAN_REPLAY_DELAY_MS: "2500" };
  await using agent = await startAgent(yamlOf({}, { interval: "1s", env }), inUtc);
  const lists = () => starts.read().filter(({ line }) => line === "list-backups all");
  const checks = () => starts.read().filter(({ line }) => line === "check all");
  await waitFor("a third list", () => lists().length >= 3, 60_000);
  for (const commands of [lists(), checks()]) {
    for (const [index, { at }] of commands.entries()) {
      if (index > 0) expect(at - (commands[index - 1]?.at ?? 0)).toBeGreaterThanOrEqual(2500);
    }
  }
  expect(sampleValue(await agent.scrape(), "barman_metrics_update")).toBeGreaterThanOrEqual(2500);
}, 120_000);

test("with a Barman that refuses to work the agent lives, and page, status and log say why", async () => {
  const env = { BARMAN_REPLAY_SCENARIOS: "run-errors/wrong-user" };
  await using agent = await startAgent(yamlOf({}, { interval: "1s", env }), inUtc);
  const failed = { command: "check", reason: "exit" };
  const page = await waitFor("three failures", async () => {
    const text = await agent.scrape();
    return (sampleValue(text, "barman_exporter_command_failures_total", failed) ?? 0) >= 3 && text;
  });
  expect(sampleValue(page, "holdfast_collect_success", { name: "barman" })).toBe(0);
  expect(sampleValue(page, "holdfast_collect_failures_total", { name: "barman", reason: "exit" })).toBeGreaterThan(0);
  expect(findSamples(page, "barman_backups_total")).toEqual([]);
  expect(await (await agent.fetch("/api/v1/status")).text()).toContain("please run barman as 'barman' user");
  // One line of the plugin for each command, and one of the agent; repeats are for level debug.
  expect(agent.stderr.filter((line) => line.includes("level=warn")).length).toBeLessThanOrEqual(3);
});

test.each(["sleep", "ignore-term", "grandchild"])(
  "SIGTERM leaves no process of Barman behind (%s)",
  async (manner) => {
    await using starts = await createStarts();
    const env = { ...starts.env, BARMAN_REPLAY_HANG: ".", BARMAN_REPLAY_MANNER: manner };
    await using agent = await startAgent(yamlOf({}, { interval: "1s", env }), inUtc);
    await waitFor("the processes", () => starts.read().length >= 2);
    expect(await agent.stop()).toBe(0);
    await waitFor("their end", () => starts.read().every(({ pid }) => !isAlive(pid)), 60_000);
  },
  120_000,
);

async function holdfast(args: readonly string[], yaml: string) {
  await using folder = await createFolder("holdfast-barman");
  const file = join(folder.path, "holdfast.yml");
  await Bun.write(file, yaml);
  const child = Bun.spawn([agentExecutable, ...args, `--config.file=${file}`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, TZ: "UTC" },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, stdout, stderr: stderr.replaceAll(file, "holdfast.yml") };
}

test("holdfast collect barman prints what one collection gives", async () => {
  const { status, stdout } = await holdfast(["collect", "barman"], yamlOf());
  expect(status).toBe(0);
  expect(sampleValue(stdout, "barman_backups_total", { server: "pg" })).toBe(3);
  expect(sampleValue(stdout, "barman_last_backup_copy_time", { server: "pg" })).toBe(0.375938);
  const broken = await holdfast(["collect", "barman"], yamlOf({ path: "/nonexistent/barman" }));
  expect(broken.status).toBe(1);
  expect(broken.stderr).toContain('Cannot run "/nonexistent/barman"');
});

test("holdfast check names a misspelt option of the plugin, its place, and the one that was meant", async () => {
  const yaml = `plugins:
  barman:
    config:
      cach_ttl: 50
      checks_cache_ttl: soon
      collect: [backup]
      timeouts:
        chek: 5s
        server: 0
`;
  const { status, stderr } = await holdfast(["check"], yaml);
  expect(status).toBe(2);
  for (const said of [
    /^holdfast\.yml:4:7: .*"cach_ttl".*"cache_ttl"/m,
    /^holdfast\.yml:5:25: .*"soon".*50/m,
    /^holdfast\.yml:6:17: .*"backup".*"backups"/m,
    /^holdfast\.yml:8:9: .*"chek".*"check"/m,
    /^holdfast\.yml:9:17: .*0.*more than 0/m,
  ]) {
    expect(stderr).toMatch(said);
  }
});
