/** The compiled executable answers "can I restore, and to when?", by the word of a third-party plugin. */
import { expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce, startAgent } from "../harness/agent.ts";
import { startBrowser } from "../harness/browser.ts";
import { describeWith } from "../harness/describe-with.ts";
import { sampleValue } from "../harness/samples.ts";
import { waitFor } from "../harness/wait.ts";

/** As an author would write it: what it collects is in a file. */
const source = `import { definePlugin, z } from "holdfast";

const listing = z.array(z.object({ cluster: z.string(), from: z.number(), to: z.number() }));

export default definePlugin({
  name: "vault",
  description: "Backups in a vault",
  config: z.strictObject({ file: z.string() }),
  setup({ config, metrics }) {
    const backups = metrics.gauge({ name: "vault_clusters", help: "Clusters in the vault." });
    let last = [];
    return {
      async collect() {
        last = listing.parse(await Bun.file(config.file).json());
        backups.set(last.length);
      },
      restorable: () => last.map((cluster) => ({ ...cluster, detail: "<b>from the vault</b>" })),
    };
  },
});
`;
const labels = (reason: string, cluster = "shop") => ({ cluster, source: "vault", reason });

async function startVault() {
  const agent = await startAgent(
    "plugin_dir: plugins\nplugins:\n  vault: { interval: 1s, config: { file: vault.json } }\n",
    {
      files: {
        "plugins/vault.ts": source,
        "vault.json": JSON.stringify([
          { cluster: "shop", from: 1_700_000_000, to: 1_750_000_000.5 },
          { cluster: "billing", from: 1_780_000_000, to: 1_790_000_100 },
        ]),
      },
    },
  );
  const until = (what: string, holds: (page: string) => boolean) =>
    waitFor(
      what,
      async () => {
        const page = await agent.scrape();
        return holds(page) && page;
      },
      60_000,
    );
  return { agent, until, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
}

describeWith(["dist/holdfast"], "what can be restored", () => {
  test("metrics, page and JSON tell it; a collection that fails turns it to 0, and a good one back to 1", async () => {
    await using vault = await startVault();
    const { agent, until } = vault;
    const page = await until("the series", (text) => sampleValue(text, "holdfast_restorable", labels("")) === 1);
    expect(page).toContain('holdfast_restorable{cluster="shop",source="vault",reason=""} 1\n');
    expect(page).toContain('holdfast_restorable_from_timestamp_seconds{cluster="shop",source="vault"} 1700000000\n');
    expect(page).toContain('holdfast_restorable_to_timestamp_seconds{cluster="shop",source="vault"} 1750000000.5\n');
    expect(await agent.scrape("/metrics?exclude[]=vault")).not.toContain("holdfast_restorable");

    const html = await agent.scrape("/");
    expect(html.indexOf('<table class="timeline">')).toBeGreaterThan(0);
    expect(html.indexOf('<table class="timeline">')).toBeLessThan(html.indexOf("<h2>Instances</h2>"));
    expect(html).toContain("&lt;b&gt;from the vault&lt;/b&gt;");
    expect(html).not.toContain("<script");

    const file = join(agent.folder, "vault.json");
    const content = await Bun.file(file).text();
    await rm(file);
    const failed = await until("the failure", (text) => text.includes('reason="collect_failed"'));
    expect(sampleValue(failed, "holdfast_restorable", labels("collect_failed"))).toBe(0);
    expect(failed).not.toContain('reason=""');
    expect(sampleValue(failed, "holdfast_restorable_to_timestamp_seconds", { cluster: "shop" })).toBe(1_750_000_000.5);
    expect(await agent.scrape("/")).toContain("<title>2 not restorable · 1 failing · holdfast</title>");
    const status = (await (await agent.fetch("/api/v1/status")).json()) as { instances: { restorable: unknown[] }[] };
    expect(status.instances[0]?.restorable[0]).toMatchObject({
      cluster: "shop",
      restorable: false,
      reason: "collect_failed",
      from: "2023-11-14T22:13:20.000Z",
    });
    await writeFile(file, content);
    await until("the recovery", (text) => sampleValue(text, "holdfast_restorable", labels("", "billing")) === 1);
  }, 120_000);
});

describeWith(["dist/holdfast"], "a textfile", () => {
  test("of all instances tells it too, of one that fails as well", async () => {
    await using vault = await startVault();
    const args = ["collect", "--all", `--config.file=${vault.agent.configFile}`];
    const cwd = vault.agent.folder;
    const good = await runOnce(args, { cwd });
    expect(good.stdout).toContain('holdfast_restorable{cluster="shop",source="vault",reason=""} 1\n');
    await rm(join(cwd, "vault.json"));
    const failed = await runOnce(args, { cwd });
    expect(failed.status).toBe(1);
    expect(failed.stdout).toContain('holdfast_restorable{cluster="",source="vault",reason="collect_failed"} 0\n');
  }, 120_000);
});

describeWith(["dist/holdfast", "promtool"], "promtool", () => {
  test("has nothing to say about what can be restored", async () => {
    await using vault = await startVault();
    const page = await vault.until("the series", (text) => text.includes("holdfast_restorable{"));
    const stdin = new Blob([
      page
        .split(/(?=^# HELP )/m)
        .filter((part) => part.includes("holdfast_restorable"))
        .join(""),
    ]);
    const promtool = Bun.spawn(["promtool", "check", "metrics"], { stdin, stderr: "pipe", stdout: "pipe" });
    expect(await promtool.stderr.text()).toBe("");
    expect(await promtool.exited).toBe(0);
  });
});

describeWith(["dist/holdfast", "chromium"], "a browser", () => {
  test.each(["light", "dark"] as const)(
    "draws the bars, and finds nothing that its policy forbids, %s",
    async (colorScheme) => {
      await using vault = await startVault();
      await vault.until("the series", (text) => text.includes("holdfast_restorable{"));
      await using browser = await startBrowser();
      const page = await browser.context.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => void complaints.push(message.text()));
      page.on("pageerror", (error) => void complaints.push(error.message));
      await page.emulateMedia({ colorScheme });
      await page.goto(`${vault.agent.url}/`);
      const bars = await page.locator("svg.row .bar").all();
      expect(bars).toHaveLength(2);
      for (const bar of bars) {
        const box = await bar.boundingBox();
        expect(box?.width).toBeGreaterThan(1);
        expect(box?.height).toBeGreaterThan(5);
      }
      const picture = page.getByRole("img", { name: "shop by vault: restorable" });
      expect(await picture.count()).toBe(1);
      await page.setViewportSize({ width: 390, height: 800 });
      expect(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")).toBe(
        true,
      );
      expect(complaints).toEqual([]);
    },
    120_000,
  );
});
