/** `holdfast as NAME --print-config …`: what it prints is right to `holdfast check`, for each tool. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { runOnce } from "../../harness/agent.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";

const pgrwl = `main: { listen_port: 7070, directory: wals }
receiver: { slot: s }
storage:
  name: s3
  uploader: { sync_interval: 10s, max_concurrency: 4 }
  retention: { enable: true, sync_interval: 12h, keep_period: 72h }
  encryption: { algo: aesgcm, pass: "\${PGRWL_PASS}" }
  s3: { url: "https://s3.example.com", access_key_id: A, secret_access_key: "\${PGRWL_KEY}", bucket: wal, region: r }
`;
const files = {
  "pgrwl.yml": pgrwl,
  "barman.yaml": 'address: 127.0.0.1\nport: "2222"\nintegration_type: "shell"\ncache_ttl: 50\nrefresh_interval: 60\n',
};
const env = { PGRWL_PASS: "geheim-1", PGRWL_KEY: "1234567" };

describeWith(["dist/holdfast"], "holdfast as NAME --print-config", () => {
  test.each([
    [
      "walg-exporter --web.telemetry-path=/m --scrape.interval=30s --walg.config-path w.yaml --walg.compat release",
      "metrics_path: /m",
    ],
    ["barman_exporter -config barman.yaml", "listen: 127.0.0.1:2222"],
    ["barman-exporter -l 0.0.0.0:9780", "compat: predecessor"],
    ["pgrwl start -c pgrwl.yml -m receive", "slot: s"],
    ["pgrwl daemon -c pgrwl.yml -m serve", "receive: false"],
    ["prombackup-server -snapshot_dir /s -autoprune -autoprune_keep_within 12h", "keep_within: 12h"],
  ])("%s", async (line, expected) => {
    await using folder = await createFolder("holdfast-print");
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
    const [name = "", ...args] = line.split(" ");
    const printed = await runOnce(["as", name, "--print-config", ...args], { cwd: folder.path, env });
    expect([printed.status, printed.stderr]).toEqual([0, ""]);
    expect(printed.stdout).toContain(expected);
    expect(printed.stdout).not.toContain("geheim");
    await writeFile(join(folder.path, "holdfast.yml"), printed.stdout);
    const checked = await runOnce(["check", "--config.file=holdfast.yml"], { cwd: folder.path, env });
    expect([checked.status, checked.stderr]).toEqual([0, ""]);
    expect(checked.stdout).toEndWith("holdfast.yml: right, 1 instance\n");
    // At the end of the line too, as one adds it to a command of old.
    expect((await runOnce(["as", name, ...args, "--print-config"], { cwd: folder.path, env })).stdout).toBe(
      printed.stdout,
    );
  });

  test("an argument of several lines adds nothing but itself to the configuration", async () => {
    const given = "a\nlisten: 0.0.0.0:9847";
    const { stdout } = await runOnce(["as", "walg-exporter", `--walg.path=${given}`, "--print-config"], { cwd: "/" });
    expect(parse(stdout)).toEqual({
      log: { level: "info" },
      plugins: { walg: { listen: ":9351", config: { path: given } } },
    });
  });

  test("a client's command is printed as holdfast's", async () => {
    const printed = await runOnce([
      "as",
      "prombackup",
      "-server",
      "http://h:1",
      "create",
      "-output",
      "a b",
      "--print-config",
    ]);
    expect(printed.stdout).toBe("holdfast snapshot create --server=http://h:1 -output 'a b'\n");
  });

  test.each([
    [["as"], 2, /Unknown tool ""; expected one of walg-exporter/],
    [["as", "pgrwll"], 2, /Unknown tool "pgrwll", did you mean "pgrwl"\?/],
    [
      ["as", "pgrwl", "start", "-m", "receive", "-c", "none.yml"],
      1,
      /pgrwl: Cannot read the configuration none\.yml: no such file/,
    ],
  ])("%j ends with %i", async (args, status, stderr) => {
    const ended = await runOnce(args);
    expect(ended.stderr).toMatch(stderr);
    expect(ended.status).toBe(status);
  });
});
