/** A real Prometheus scrapes the compiled executable. */
import { expect, test } from "bun:test";
import { startAgent } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { startPrometheus } from "../harness/prometheus.ts";
import { waitFor } from "../harness/wait.ts";
import { pluginFiles } from "./plugins.ts";

describeWith(["prometheus"], "Prometheus", () => {
  test("stores the series and shows no scrape error, over reloads too", async () => {
    const yaml = (value: number) =>
      `plugin_dir: plugins\nplugins:\n  tick: { interval: 1s, config: { value: ${value} } }\n  other: { plugin: tick, interval: 1s, labels: { site: b } }\n`;
    await using agent = await startAgent(yaml(3), { files: pluginFiles });
    await using prometheus = await startPrometheus({ targets: [`127.0.0.1:${agent.port}`], scrapeInterval: "3s" });
    const value = async (query: string) => (await prometheus.query(query))[0]?.value;
    await waitFor("the series", async () => (await value('tick_value{instance_name="tick"}')) === 3, 60_000);
    for (const next of [4, 5, 6]) {
      await agent.configure(yaml(next));
      agent.signal("SIGUSR1");
      await waitFor("the new value", async () => (await value('tick_value{instance_name="tick"}')) === next, 60_000);
    }
    expect(await prometheus.targets()).toMatchObject([{ health: "up", lastError: "" }]);
    expect(await value('count(tick_value{job="holdfast"})')).toBe(2);
    expect(await value("min_over_time(up[1m])")).toBe(1);
    expect(await value("count({__name__=~'.+', exported_instance=~'.+'}) or vector(0)")).toBe(0);
    expect(await value('holdfast_collect_success{name="tick"}')).toBe(1);
    const dropped = "prometheus_target_scrapes_sample_duplicate_timestamp_total";
    expect(
      (await (await fetch(`${prometheus.url}/metrics`)).text()).match(new RegExp(`^${dropped} (\\d+)$`, "m"))?.[1],
    ).toBe("0");
    expect(prometheus.log()).not.toMatch(/level=(warn|error)[^\n]*scrape/);
  });
});
