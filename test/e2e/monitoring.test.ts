/** A real Prometheus with our rules scrapes the compiled executable with every plugin, and answers what dashboards ask. */
import { expect, test } from "bun:test";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dashboards } from "../../scripts/lib/dashboards/index.ts";
import { type Dashboard, expand, queriesOf } from "../../scripts/lib/dashboards/model.ts";
import { type Agent, startAgent } from "../harness/agent.ts";
import { ruleFiles } from "../harness/alert-rules.ts";
import { createAuthority } from "../harness/certificates.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../harness/postgres.ts";
import { type PrometheusServer, startPrometheus } from "../harness/prometheus.ts";
import { waitFor } from "../harness/wait.ts";
import { StandIn } from "../harness/walg-stand-in.ts";

const barmanReplay = new URL("../harness/barman-replay", import.meta.url).pathname;

/** Every plugin, with everything that it can tell. JSON is YAML. */
function configuration(where: {
  folder: string;
  walg: StandIn;
  postgres: PostgresServer;
  prometheus?: PrometheusServer;
}) {
  const { folder, walg, postgres, prometheus } = where;
  const instance = (config: object) => ({ interval: "1s", labels: { cluster: "main" }, config });
  const barman = {
    path: barmanReplay,
    collect: ["backups", "checks", "servers", "wal", "replication"],
    env: { BUN: process.execPath, BARMAN_REPLAY_SCENARIOS: "mixed" },
  };
  const pgrwl = {
    directory: join(folder, "wal"),
    slot: "holdfast",
    postgres: postgres.conninfo(),
    status_interval: "1s",
    archive: {
      storage: { type: "local", directory: join(folder, "archive") },
      retention: { keep: "1h", interval: "1s" },
      verify: { interval: "2s" },
    },
    serve: {},
  };
  const prombackup = prometheus && {
    snapshot_dir: join(prometheus.dataFolder, "snapshots"),
    prometheus: { url: prometheus.url },
    autoprune: { interval: "10s" },
    backup: {
      every: "1m",
      targets: { disk: { storage: { type: "local", directory: join(folder, "backups") } } },
    },
  };
  return `plugins: ${JSON.stringify({
    barman: { ...instance(barman), interval: "5s" },
    walg: instance(walg.config({ list: { interval: "1s" }, wal_times: { enabled: true } })),
    pgrwl: instance(pgrwl),
    ...(prombackup && { prombackup: instance(prombackup) }),
  })}\n`;
}

/** As Grafana asks with all values of all variables. */
const asGrafanaAsks = (expr: string, dashboard: Dashboard) =>
  expand(expr, dashboard)
    .replaceAll(/"\$\w+"/g, '".*"')
    .replaceAll("$__rate_interval", "15s");

/** Panels with a query that nothing in this test makes true. The others that may be empty must not be so here. */
const emptyHere: ReadonlySet<string> = new Set([
  "overview: Each cluster, from each source",
  "overview: Alerts",
  "agent: Failures in an hour, by reason",
  "barman: WAL that wait to be archived",
  "barman: Failures of archive_command in an hour",
  "pgrwl: Lost connections in an hour",
  "pgrwl: Failed uploads in an hour, by reason",
  "prombackup: Size of the newest",
  "prombackup: Runs of pruning in a day, by result",
  "prombackup: Downloads in an hour, by result",
  "prombackup: Sent",
  "walg: Segments that wait for the archiver",
  "walg: Failures of archive_command in an hour",
  "walg: Bytes used",
  "walg: Failures in an hour",
]);

const queries = dashboards.flatMap((dashboard) =>
  dashboard.sections.flatMap(({ panels }) =>
    panels.flatMap((panel) =>
      queriesOf(panel).map(({ expr, mayBeEmpty }) => {
        const where = `${dashboard.name}: ${panel.title}`;
        const isQuiet = mayBeEmpty && emptyHere.has(where);
        return { where, expr: asGrafanaAsks(expr, dashboard), isQuiet };
      }),
    ),
  ),
);

interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly alerts?: readonly { readonly annotations: Readonly<Record<string, string>> }[];
}

async function rulesOf({ url }: PrometheusServer): Promise<RuleState[]> {
  const body = (await (await fetch(`${url}/api/v1/rules`)).json()) as { data: { groups: { rules: RuleState[] }[] } };
  return body.data.groups.flatMap(({ rules }) => rules);
}

/** Segments, one after the other, so that there is something to archive, to verify and to measure. */
async function write(postgres: PostgresServer): Promise<void> {
  await postgres.psql("CREATE TABLE IF NOT EXISTS t (x int)");
  for (let segment = 0; segment < 3; segment++) {
    await postgres.psql("INSERT INTO t SELECT generate_series(1, 1000); SELECT pg_switch_wal()");
  }
}

async function requestWal(agent: Agent): Promise<void> {
  await (await agent.fetch("/pgrwl/wal/000000010000000000000001")).arrayBuffer();
}

describeWith(["dist/holdfast", "prometheus", "postgresql"], "what is to be seen", () => {
  test("every query of the dashboards answers, and every rule is evaluated", async () => {
    await using folder = await createFolder("holdfast-monitoring");
    for (const name of ["archive", "backups"]) await mkdir(join(folder.path, name));
    await using postgres = await startPostgres({}, { segmentMiB: 1 });
    await using cleanup = new AsyncDisposableStack();
    const walg = await StandIn.create();
    cleanup.defer(() => walg.remove());
    const newest = "obj  16   2026-01-02 11:55:00 +0000 UTC 000000020000000000000051.lz4";
    await walg.reply("st-ls-wal_005", { stdout: `type size last modified                 name\n${newest}\n` });
    await using agent = await startAgent(configuration({ folder: folder.path, walg, postgres }));
    await using prometheus = await startPrometheus({
      targets: [`127.0.0.1:${agent.port}`],
      ruleFiles,
      flags: ["--web.enable-admin-api"],
    });
    // There is nothing to back up before; and each has to know the other's address.
    await waitFor("the first samples", async () => (await prometheus.query("holdfast_build_info")).length > 0);
    await agent.configure(configuration({ folder: folder.path, walg, postgres, prometheus }));
    agent.signal("SIGUSR1");

    let empty: string[] = [];
    const answered = async () => {
      await write(postgres);
      await requestWal(agent);
      const still: string[] = [];
      for (const { where, expr, isQuiet } of queries) {
        const samples = await prometheus.query(expr);
        if (samples.length === 0 && !isQuiet) still.push(`${where}: ${expr}`);
      }
      empty = still;
      return empty.length === 0;
    };
    await waitFor("every panel to show something", answered, 240_000).catch((cause) => {
      throw new Error(`These panels stayed empty:\n${empty.join("\n")}\n${agent.stderr.slice(-10).join("\n")}`, {
        cause,
      });
    });

    for (const { variables } of dashboards) {
      for (const { name, metric } of variables) {
        const values = `${prometheus.url}/api/v1/label/${name}/values?match[]=${metric}`;
        expect([metric, name, ((await (await fetch(values)).json()) as { data: string[] }).data.length > 0]).toEqual([
          metric,
          name,
          true,
        ]);
      }
    }

    const rules = await waitFor("all rules", async () => {
      const found = await rulesOf(prometheus);
      return found.every(({ health }) => health !== "unknown") && found;
    });
    expect(rules.length).toBeGreaterThan(50);
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    const annotations = rules.flatMap(({ alerts = [] }) => alerts.flatMap((alert) => Object.values(alert.annotations)));
    expect(annotations.length).toBeGreaterThan(0);
    expect(annotations.filter((text) => /<error|<no value>|%!| {2}/.test(text))).toEqual([]);
    // The recordings' backups are as old as the recordings.
    expect(rules.find(({ name }) => name === "WalgBackupTooOld")?.alerts).toHaveLength(1);
    expect(rules.find(({ name }) => name === "HoldfastPluginFailing")?.alerts).toHaveLength(0);
  }, 360_000);
});

describeWith(["dist/holdfast", "prometheus", "openssl"], "config/prometheus/prometheus.yml", () => {
  test("scrapes an agent that wants TLS, a client certificate and a user, with the settings in its comments", async () => {
    await using folder = await createFolder("holdfast-monitoring");
    const inFolder = (name: string) => join(folder.path, name);
    const authority = await createAuthority(folder.path, "holdfast-ca");
    const server = await authority.issue("server", { names: ["IP:127.0.0.1"] });
    const client = await authority.issue("prometheus");
    await copyFile(client.certificate, inFolder("client.crt"));
    await copyFile(client.key, inFolder("client.key"));
    await writeFile(inFolder("holdfast.password"), "scrape");
    const hash = await Bun.password.hash("scrape", { algorithm: "bcrypt", cost: 4 });
    const files = { cert_file: server.certificate, key_file: server.key, client_ca_file: authority.certificate };
    const web = {
      tls_server_config: { ...files, client_auth_type: "RequireAndVerifyClientCert" },
      basic_auth_users: { prometheus: hash },
    };
    await using agent = await startAgent("web_config: web.yml\nplugins: {}\n", {
      files: { "web.yml": JSON.stringify(web) },
      waitReady: false,
    });
    const example = await readFile(new URL("../../config/prometheus/prometheus.yml", import.meta.url), "utf8");
    const commented = (start: string) => {
      const [, setting] = new RegExp(`^    # (${start}.*)$`, "m").exec(example) ?? [];
      if (setting === undefined) throw new Error(`The example has no comment with ${start}`);
      return `    ${setting.replaceAll("/etc/prometheus/", `${folder.path}/`)}\n`;
    };
    const wanted = ["scheme: https", "tls_config: { .*cert_file", "basic_auth:"];
    await using prometheus = await startPrometheus({
      targets: [`127.0.0.1:${agent.port}`],
      jobSettings: wanted.map(commented).join(""),
    });
    const isUp = async () => (await prometheus.query("up"))[0]?.value === 1;
    await waitFor("a scrape", isUp, 60_000).catch(async (cause) => {
      throw new Error(JSON.stringify(await prometheus.targets()), { cause });
    });
    expect(await prometheus.query("holdfast_build_info")).toHaveLength(1);
  }, 120_000);
});
