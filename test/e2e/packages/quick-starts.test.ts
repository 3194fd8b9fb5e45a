/**
 * A Debian in which only the package is installed does what the originals' documents begin with, under their names; a real Prometheus
 * scrapes it, with the package's job and rules. The tests build on each other.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { oldNames } from "../../../scripts/lib/package/contents.ts";
import { rulesFolder } from "../../harness/alert-rules.ts";
import { missing } from "../../harness/available.ts";
import { createDebianRoot, type DebianRoot } from "../../harness/debian-root.ts";
import { readSamples } from "../../harness/samples.ts";
import { waitFor } from "../../harness/wait.ts";
import {
  barmanExporter,
  barmanExporterConfiguration,
  barmanExporterMetrics,
  barmanPredecessor,
  pgrwlReceive,
  pgrwlReceiveConfig,
  pgrwlRestoreCommand,
  pgrwlServe,
  pgrwlServeConfig,
  prombackupCreate,
  prombackupCreateCompressed,
  prombackupPrune,
  prombackupServer,
  walgExporter,
} from "../compat/quick-starts.ts";
import { createScene, type Scene, targets } from "./quick-start-scene.ts";

const reason = missing("dist/holdfast", "dpkg-deb", "prometheus", "postgresql", "a machine of its own");
const made = reason === undefined ? await createDebianRoot() : { reason };

if ("reason" in made)
  describe.skip(`the originals' quick starts from the package (skipped: ${made.reason})`, () => test("none", () => {}));
else describe("the originals' quick starts from the package", () => quickStarts(made));

const installed = "usr/share/doc/holdfast/config";

function quickStarts(root: DebianRoot): void {
  let scene: Scene;
  beforeAll(async () => {
    scene = await createScene(root);
    // As docs/install.md says, for each of them.
    for (const name of oldNames) await root.sh(`ln -s /usr/lib/holdfast/as/${name} /usr/local/bin/${name}`);
  }, 600_000);
  afterAll(async () => await scene?.[Symbol.asyncDispose](), 60_000);

  test("walg-exporter has the backups of wal-g at its port, and a landing page", async () => {
    scene.start(`cd /usr/local/bin; exec ${walgExporter}`);
    await scene.get("http://localhost:9351/metrics", (text) =>
      text.includes('walg_backup_count{backup_type="full"} 2'),
    );
    expect(await scene.get("http://localhost:9351/")).toContain("metrics");
  });

  test("barman_exporter has every metric of its documents, and reads its file again", async () => {
    const file = "/etc/barman_exporter/config.yaml";
    await root.sh(`install -d /opt/barman_exporter /etc/barman_exporter
      ln -s "$(command -v holdfast)" /opt/barman_exporter/exporter
      printf %s '${barmanExporterConfiguration}' >${file}`);
    const exporter = scene.start(`exec ${barmanExporter}`);
    const hasAll = (text: string) => barmanExporterMetrics.every((name) => text.includes(`\n${name}`));
    const page = await scene.get("http://localhost:2222/metrics", hasAll);
    expect(new Set(readSamples(page).map(({ labels }) => labels.check)).size).toBeGreaterThan(21);
    await root.sh(`sed -i 's/warn/info/' ${file}`);
    exporter.signal("SIGUSR1");
    await waitFor("the reload", () => exporter.output().includes("level=info"));
  });

  test("barman-exporter has its own metrics at its port, and prints them", async () => {
    scene.start(`exec ${barmanPredecessor}`);
    await scene.get("http://localhost:9780/metrics", (text) => text.includes('barman_backup_size{number="1"'));
    const printed = await scene.run("barman-exporter -d");
    expect(printed).toMatchObject({ status: 0, stdout: expect.stringContaining("barman_last_backup{") });
  });

  test("pgrwl receives what PostgreSQL writes, and its restore_command brings it back", async () => {
    const isReceiving = (text: string) => JSON.parse(text).stream_status?.running === true;
    const receiver = scene.start(pgrwlReceiveConfig + pgrwlReceive);
    await scene.get("http://localhost:7070/status", isReceiving);
    const segment = (await scene.postgres.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")).trim();
    await scene.postgres.psql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    await scene.postgres.psql("SELECT pg_switch_wal()");
    await scene.get("http://localhost:7070/metrics", (text) => /^pgrwl_wal_files_received_total [1-9]/m.test(text));
    expect((await scene.run("ls wals")).stdout).toContain(segment);
    expect(await receiver.stop()).toBe(0);
    const server = scene.start(pgrwlServeConfig + pgrwlServe);
    expect(JSON.parse(await scene.get("http://localhost:7070/status"))).toEqual({ running_mode: "serve" });
    const restored = await scene.run(`${pgrwlRestoreCommand(segment, "R")} && cmp R wals/${segment} && stat -c %s R`);
    expect(restored).toEqual({ status: 0, stdout: "1048576\n", stderr: "" });
    expect(await server.stop()).toBe(0);
    // It goes on where it was.
    scene.start(pgrwlReceiveConfig + pgrwlReceive);
    await scene.get("http://localhost:7070/status", isReceiving);
  });

  test("prombackup-server takes snapshots of Prometheus; prombackup downloads and prunes them", async () => {
    scene.start(prombackupServer);
    expect(await scene.get("http://localhost:8080/")).toContain("<title>Prometheus backup");
    // An empty Prometheus has nothing to take.
    await scene.get("http://localhost:9090/api/v1/query?query=count(up)", (text) => text.includes('"metric"'));
    const well = { status: 0, stdout: "", stderr: "" };
    expect(await scene.run(prombackupCreate)).toEqual(well);
    expect((await scene.run("tar -tf ./*Z-*.tar")).stdout).toContain("/meta.json");
    expect(await scene.run(prombackupCreateCompressed)).toEqual(well);
    expect((await scene.run("tar -tzf /tmp/mybackup.tar.gz")).stdout).toContain("/meta.json");
    expect(await scene.run(prombackupPrune)).toEqual(well);
    expect((await scene.run("ls /storage/snapshots")).stdout.trim().split("\n")).toHaveLength(2);
    expect(await scene.run(`${prombackupPrune.trim()}; ls /storage/snapshots`.replace("12h", "0s"))).toEqual(well);
  });

  test("Prometheus scrapes each of them, with the package's job and beside the service itself", async () => {
    interface Target {
      readonly health: string;
      readonly lastError: string;
      readonly labels: Readonly<Record<string, string>>;
    }
    scene.start("exec holdfast run --config.file=/etc/holdfast/holdfast.yml", "holdfast");
    await scene.get("http://localhost:9847/-/ready");
    const states = async () => (await scene.ask<{ activeTargets: Target[] }>("targets")).activeTargets;
    let last: Target[] = [];
    const areUp = async () => {
      const found = await states();
      last = found;
      return found.length > 0 && found.every(({ health }) => health === "up");
    };
    // What follows says which is not.
    await waitFor("a scrape of each", areUp, 60_000).catch(() => {});
    const found = last.map(({ health, lastError, labels }) => [labels.instance, labels.job, health, lastError]);
    expect(found.sort()).toEqual(
      Object.values(targets)
        .map((target) => [target, "holdfast", "up", ""])
        .sort(),
    );
  });

  test("the package's rules, which are those with the unit tests, are loaded and evaluated without a fault", async () => {
    for (const name of await readdir(rulesFolder)) {
      const copy = join(root.path, installed, "prometheus/rules", name);
      expect(await readFile(copy, "utf8")).toBe(await readFile(join(rulesFolder, name), "utf8"));
    }
    interface Rule {
      readonly name: string;
      readonly health: string;
      readonly lastError?: string;
    }
    const rules = await waitFor("all rules", async () => {
      const { groups } = await scene.ask<{ groups: { rules: Rule[] }[] }>("rules");
      const found = groups.flatMap((group) => group.rules);
      return found.length > 50 && found.every(({ health }) => health !== "unknown") && found;
    });
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
  });

  test("each query of the package's dashboards is answered, and each dashboard has something to show", async () => {
    const folder = join(root.path, installed, "grafana/dashboards");
    const names = await readdir(folder);
    expect(names).toHaveLength(6);
    for (const name of names) {
      const queries = queriesOf(JSON.parse(await readFile(join(folder, name), "utf8")));
      let shown = 0;
      // Some ask how something changed, and need two scrapes.
      const hasSome = async () => {
        const answers = await Promise.all(
          queries.map((query) => scene.ask<{ result: unknown[] }>(`query?query=${encodeURIComponent(query)}`)),
        );
        shown = answers.filter(({ result }) => result.length > 0).length;
        return shown >= 4;
      };
      await waitFor(`panels of ${name}`, hasSome).catch((cause) => {
        throw new Error(`${name} shows ${shown} of ${queries.length}`, { cause });
      });
    }
  }, 180_000);
}

/** The queries of a dashboard as Grafana asks them with all values of all variables. */
function queriesOf(part: unknown): string[] {
  if (typeof part !== "object" || part === null) return [];
  return Object.entries(part).flatMap(([key, value]) =>
    key === "expr" && typeof value === "string"
      ? [value.replaceAll(/"\$\w+"/g, '".*"').replaceAll("$__rate_interval", "15s")]
      : queriesOf(value),
  );
}
