/** The commands of the WAL-G exporter's README, word for word, by the executable under its name. */
import { expect, test } from "bun:test";
import { describeWith } from "../../harness/describe-with.ts";
import { createMachine, type Machine } from "../../harness/machine.ts";
import { waitFor } from "../../harness/wait.ts";
import { StandIn } from "../../harness/walg-stand-in.ts";
import { walgExporter } from "./quick-starts.ts";

const custom = `./walg-exporter \\
  --web.listen-address=":8080" \\
  --walg.path="/usr/local/bin/wal-g" \\
  --scrape.interval="30s"`;
const debug = "./walg-exporter --log.level=debug";
const mock = `# Create a mock wal-g script
cat > mock-wal-g << 'EOF'
#!/bin/bash
case "$1" in
  "backup-list")
    echo '[{"backup_name":"test","time":"2024-01-01T12:00:00Z","is_full":true}]'
    ;;
  "wal-show")
    echo '{"integrity":{"status":"OK","details":[{"timeline_id":1,"status":"FOUND"}]}}'
    ;;
esac
EOF
chmod +x mock-wal-g

# Test with mock
./walg-exporter --walg.path=./mock-wal-g`;

describeWith(["dist/holdfast", "a machine of its own"], "walg-exporter", () => {
  async function prepare() {
    await using cleanup = new AsyncDisposableStack();
    const standIn = await StandIn.create();
    cleanup.defer(() => standIn.remove());
    const machine = cleanup.use(await createMachine({ links: ["walg-exporter"], folders: [standIn.folder] }));
    const owned = cleanup.move();
    // wal-g is in PATH, as the README wants it.
    const env = { PATH: standIn.folder, WALG_STAND_IN: standIn.folder };
    return { machine, standIn, env, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  const untilThere = (machine: Machine, url: string, text: string) => machine.get(url, (page) => page.includes(text));

  test.each([
    ["the basic one", walgExporter, 'walg_backup_count{backup_type="full"} 2'],
    ["with the debug mode", debug, 'walg_backups{backup_type="delta"} 1'],
    ["of the mock", mock, 'walg_backups{backup_type="full"} 1'],
  ])(
    "the README's command serves at port 9351: %s",
    async (_, command, expected) => {
      await using scene = await prepare();
      await using exporter = scene.machine.start(command, scene.env);
      const page = await untilThere(scene.machine, "http://localhost:9351/metrics", expected);
      for (const name of [
        "walg_errors_total",
        "walg_scrape_duration_seconds",
        "walg_scrape_errors_total",
        "walg_pitr_window_seconds",
      ])
        expect(page).toContain(`\n${name}`);
      // The README's health check.
      expect(await scene.machine.run("curl http://localhost:9351/")).toMatchObject({
        status: 0,
        stdout: expect.stringContaining("metrics"),
      });
      if (command === debug) await waitFor("the log", () => exporter.output().includes("level=debug"));
      else expect(exporter.output()).not.toContain("level=debug");
      expect((await scene.machine.run("curl -s http://localhost:9847/")).status).toBe(7);
      expect(await exporter.stop()).toBe(0);
    },
    120_000,
  );

  test("the README's custom configuration serves at port 8080, and asks every 30 seconds", async () => {
    await using scene = await prepare();
    await using exporter = scene.machine.start(custom, scene.env);
    // Nothing is at /usr/local/bin/wal-g: that is told, and the page stays.
    await untilThere(
      scene.machine,
      "http://localhost:8080/metrics",
      'walg_errors_total{error_type="command_failed",operation="backup-list"} 1',
    );
    await waitFor("the log", () => exporter.output().includes("/usr/local/bin/wal-g"));
    const printed = await scene.machine.run(`${custom} --print-config`);
    expect(printed.stdout).toContain("path: /usr/local/bin/wal-g");
    expect(printed.stdout.match(/interval: 30s/g)).toHaveLength(3);
  }, 120_000);

  test("another telemetry path has the metrics, and the usual one does not", async () => {
    await using scene = await prepare();
    await using _ = scene.machine.start("./walg-exporter -web.telemetry-path /m/walg", scene.env);
    await untilThere(scene.machine, "http://localhost:9351/m/walg", "walg_backups{");
    expect((await scene.machine.run("curl -fs http://localhost:9351/metrics")).status).toBe(22);
    expect(await scene.machine.get("http://localhost:9351/")).toContain('href="m/walg"');
  }, 120_000);

  test("the release's flags go to their own settings, and a port in use is an error", async () => {
    await using scene = await prepare();
    const { stdout } = await scene.machine.run(
      "walg-exporter --scrape.interval 1h30m --wal-verify.scrape-interval=1.5h --storage-check.timeout 1500us --walg.config-path wal-g.yaml --print-config",
    );
    expect(stdout).toMatch(
      /list:\n\s+interval: 1h30m\n\s+wal:\n\s+interval: 1.5h\n\s+storage:\n\s+interval: 1h30m\n\s+timeout: 1.5ms/,
    );
    expect(stdout).toMatch(/config_path: \/.*\/wal-g\.yaml/);
    await using first = scene.machine.start(walgExporter, scene.env);
    await scene.machine.get("http://localhost:9351/metrics");
    const second = await scene.machine.run(walgExporter, scene.env);
    expect([second.status, second.stderr]).toEqual([1, expect.stringContaining("9351")]);
    expect(await first.stop()).toBe(0);
  }, 120_000);
});
