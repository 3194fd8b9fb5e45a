/** barman-metrics-exporter as its documents have it: their unit, their configuration, their page; and its predecessor. */
import { expect, test } from "bun:test";
import { describeWith } from "../../harness/describe-with.ts";
import { createMachine } from "../../harness/machine.ts";
import { readSamples } from "../../harness/samples.ts";
import {
  barmanExporter,
  barmanExporterConfiguration,
  barmanExporterMetrics,
  barmanPredecessor,
} from "./quick-starts.ts";

const place = `mkdir -p /opt/barman_exporter /etc/barman_exporter
ln -s "$(readlink barman_exporter/exporter)" /opt/barman_exporter/exporter
cat >/etc/barman_exporter/config.yaml <<'EOF'
${barmanExporterConfiguration}EOF
mkdir /opt/bin
ln -s ${new URL("../../harness/barman-replay", import.meta.url).pathname} /opt/bin/barman`;
const env = { PATH: "/opt/bin", BUN: process.execPath, BARMAN_REPLAY_SCENARIOS: "mixed", TZ: "UTC" };

const machine = async () => {
  const made = await createMachine({ links: ["barman_exporter/exporter", "barman-exporter"] });
  // The stand-in must be found by its own place, not by the link's.
  const script = place.replace(
    /ln -s (\S+) \/opt\/bin\/barman$/,
    "printf '#!/bin/sh\\nexec $1 \"$@\"\\n' >/opt/bin/barman; chmod +x /opt/bin/barman",
  );
  expect(await made.run(script)).toMatchObject({ status: 0, stderr: "" });
  return made;
};

describeWith(["dist/holdfast", "a machine of its own"], "barman_exporter", () => {
  test("ExecStart of the documents' unit serves the documents' page at their address, and ExecReload reads the file again", async () => {
    await using host = await machine();
    await using exporter = host.start(`exec ${barmanExporter}`, env);
    const page = await host.get("http://localhost:2222/metrics", (text) =>
      barmanExporterMetrics.every((name) => text.includes(`\n${name}`)),
    );
    for (const name of barmanExporterMetrics) expect(page).toContain(`# TYPE ${name} gauge`);
    const checks = readSamples(page).filter(({ name }) => name === "barman_up");
    expect(new Set(checks.map(({ labels }) => labels.check)).size).toBeGreaterThanOrEqual(21);
    // warn, as the file says: nothing of the start.
    expect(exporter.output()).not.toContain("level=info");

    await host.run("sed -i 's/2222/2223/; s/warn/INFO/' /etc/barman_exporter/config.yaml");
    exporter.signal("SIGUSR1");
    await host.get("http://localhost:2223/metrics", (text) => text.includes("barman_up"));
    await host.run(
      "echo 'prot: 3' >>/etc/barman_exporter/config.yaml; sed -i 's/^port.*//' /etc/barman_exporter/config.yaml",
    );
    await host.run("sed -i 's/shell/mock/' /etc/barman_exporter/config.yaml");
    exporter.signal("SIGUSR1");
    await host.get(
      "http://localhost:2223/metrics",
      (text) => text.includes("holdfast_collect_success") && exporter.output().includes("integration_type: mock"),
    );
    expect(await exporter.stop()).toBe(0);
  }, 120_000);

  test.each([
    ["barman_exporter/exporter", 0, /Usage: barman_exporter -config FILE/, /^$/],
    ["barman_exporter/exporter help", 0, /Usage: barman_exporter -config FILE/, /^$/],
    ["barman_exporter/exporter -confg x", 1, /^$/, /Unknown flag -confg, did you mean --config\?/],
    [
      "barman_exporter/exporter -config /nowhere.yaml",
      1,
      /^$/,
      /Cannot read the configuration \/nowhere.yaml: no such file/,
    ],
    ["barman_exporter/exporter -config /etc/hosts", 1, /^$/, /expected a name that ends in \.yaml, \.yml/],
    ["barman-exporter -v", 0, /holdfast/, /^$/],
    ["barman-exporter main", 2, /^$/, /the server "main" asks for: all servers are asked at once; leave it out/],
    [
      "barman-exporter -f /tmp/x.prom",
      2,
      /^$/,
      /-f asks for: for node_exporter's textfile collector run barman-exporter -d/,
    ],
  ])("%s: status %i", async (command, status, stdout, stderr) => {
    await using host = await machine();
    const ended = await host.run(command, env);
    expect([ended.status, ended.stdout, ended.stderr]).toEqual([
      status,
      expect.stringMatching(stdout),
      expect.stringMatching(stderr),
    ]);
  });

  test("the predecessor's command serves its page at its port, and prints it", async () => {
    await using host = await machine();
    await using exporter = host.start(`exec ${barmanPredecessor}`, env);
    const page = await host.get("http://localhost:9780/metrics", (text) => text.includes("barman_up"));
    expect(page).toContain('barman_backup_size{number="1",server="pg"}');
    expect(await exporter.stop()).toBe(0);
    const printed = await host.run("barman-exporter -d", env);
    expect(printed.stdout).toContain("barman_last_backup{");
  }, 120_000);
});
