import { afterAll, beforeAll, expect, test } from "bun:test";
import { testPlugin } from "../../agent/sdk/index.ts";
import barmanPlugin from "../../plugins/barman/index.ts";
import { startAgent } from "../harness/agent.ts";
import { type BarmanHost, startBarman } from "../harness/barman.ts";
import { describeWith } from "../harness/describe-with.ts";
import { startPrometheus } from "../harness/prometheus.ts";
import { findSamples, sampleValue } from "../harness/samples.ts";
import { waitFor } from "../harness/wait.ts";

describeWith(["postgresql", "barman"], "the barman plugin on a real Barman", () => {
  let barman: BarmanHost;

  beforeAll(async () => {
    barman = await startBarman();
  }, 240_000);
  afterAll(() => barman?.[Symbol.asyncDispose](), 60_000);

  async function collect(): Promise<string> {
    // A new instance each time: nothing comes from a cache.
    const instance = await testPlugin(barmanPlugin, { config: { path: barman.executable } });
    try {
      return await instance.collect();
    } finally {
      await instance.stop();
    }
  }
  const up = (text: string, server: string, check: string) => sampleValue(text, "barman_up", { server, check });

  test("a healthy server has all its checks up and its backup's series", async () => {
    const text = await collect();
    const down = findSamples(text, "barman_up", { server: "main" }).filter(({ value }) => value !== 1);
    expect(down).toEqual([]);
    expect(up(text, "main", "receive_wal_running")).toBe(1);
    const main = { server: "main" };
    expect(sampleValue(text, "barman_backups_total", main)).toBe(1);
    expect(sampleValue(text, "barman_backups_failed", main)).toBe(0);
    expect(sampleValue(text, "barman_backup_size", { ...main, number: "0" })).toBeGreaterThan(20e6);
    expect(sampleValue(text, "barman_backup_wal_size", { ...main, number: "0" })).toBeGreaterThan(0);
    expect(sampleValue(text, "barman_last_backup", main)).toBeWithin(0, 600);
    expect(sampleValue(text, "barman_first_backup", main)).toBeWithin(0, 600);
    expect(sampleValue(text, "barman_last_backup_copy_time", main)).toBeGreaterThan(0);
    expect(sampleValue(text, "barman_last_backup_throughput", main)).toBeGreaterThan(0);
    expect(sampleValue(text, "barman_last_backup_wal_files", main)).toBeGreaterThan(0);
  });

  test("a server without a backup has its checks and a count of zero, and no backup's series", async () => {
    const text = await collect();
    expect(up(text, "fresh", "postgresql")).toBe(1);
    expect(sampleValue(text, "barman_backups_total", { server: "fresh" })).toBe(0);
    for (const name of ["barman_last_backup", "barman_first_backup", "barman_backup_size"]) {
      expect(findSamples(text, name, { server: "fresh" })).toEqual([]);
    }
  });

  test("a server whose PostgreSQL is down says so, and harms no other", async () => {
    const text = await collect();
    expect(up(text, "broken", "postgresql")).toBe(0);
    expect(up(text, "main", "postgresql")).toBe(1);
    expect(sampleValue(text, "barman_backups_total", { server: "broken" })).toBe(0);
  });

  test("an inactive server has no backup's series", async () => {
    const text = await collect();
    expect(findSamples(text, "barman_backups_total", { server: "archive" })).toEqual([]);
  });

  describeWith(["dist/holdfast", "prometheus"], "through the compiled agent", () => {
    test("a real Prometheus stores the series and shows no scrape error", async () => {
      const yaml = `plugins: { barman: { interval: 5s, config: { path: ${barman.executable} } } }`;
      await using agent = await startAgent(yaml);
      await using prometheus = await startPrometheus({ targets: [`127.0.0.1:${agent.port}`] });
      const query = 'barman_up{server="main",check="postgresql"}';
      const [stored] = await waitFor(
        "Prometheus to store the check",
        async () => {
          const samples = await prometheus.query(query);
          return samples.length > 0 && samples;
        },
        60_000,
      );
      expect(stored?.value).toBe(1);
      expect(stored?.metric.job).toBe("holdfast");
      expect(
        await prometheus.query('{__name__=~".+",exported_instance!=""} or {__name__=~".+",exported_job!=""}'),
      ).toEqual([]);
      expect((await prometheus.targets()).map(({ health, lastError }) => ({ health, lastError }))).toEqual([
        { health: "up", lastError: "" },
      ]);
      expect(await agent.stop()).toBe(0);
    }, 240_000);
  });

  test("a PostgreSQL that goes down and comes back is seen, and its backups stay", async () => {
    await barman.postgres.stop();
    const down = await collect();
    expect(up(down, "main", "postgresql")).toBe(0);
    expect(sampleValue(down, "barman_backups_total", { server: "main" })).toBe(1);
    expect(sampleValue(down, "barman_last_backup", { server: "main" })).toBeWithin(0, 600);
    await barman.postgres.start();
    expect(up(await collect(), "main", "postgresql")).toBe(1);
  }, 120_000);
});
