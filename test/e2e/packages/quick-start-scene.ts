/** A Debian with the package alone, and around it what the originals watch: a real PostgreSQL and Prometheus, stand-ins for Barman and wal-g. */
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type Background, backgroundOf } from "../../harness/background.ts";
import { reply } from "../../harness/barman-replay.ts";
import type { DebianRoot } from "../../harness/debian-root.ts";
import { createFolder } from "../../harness/folders.ts";
import type { Ended } from "../../harness/machine.ts";
import { packagesFor } from "../../harness/packages.ts";
import { type PostgresServer, startPostgres } from "../../harness/postgres.ts";
import { createPrivateNetwork } from "../../harness/private-network.ts";
import { ServerProcess } from "../../harness/processes.ts";
import { asUser, giveTo } from "../../harness/users.ts";
import { waitFor } from "../../harness/wait.ts";
import { StandIn } from "../../harness/walg-stand-in.ts";

/** Where the service and the originals listen. */
export const targets = {
  holdfast: "127.0.0.1:9847",
  "walg-exporter": "127.0.0.1:9351",
  barman_exporter: "127.0.0.1:2222",
  "barman-exporter": "127.0.0.1:9780",
  pgrwl: "127.0.0.1:7070",
  "prombackup-server": "127.0.0.1:8080",
} as const;

export interface Scene extends AsyncDisposable {
  readonly root: DebianRoot;
  readonly postgres: PostgresServer;
  /** Runs a script of bash in the root to its end, as a user without rights, in a folder of its own. */
  run(script: string): Promise<Ended>;
  /** Starts one whose last command is a server. It runs until the scene ends, or is stopped. */
  start(script: string, as?: "holdfast"): Background;
  /** What `curl` gets. @throws {Error} No answer before the deadline, or one that `isRight` never takes. */
  get(url: string, isRight?: (text: string) => boolean): Promise<string>;
  /** What Prometheus answers to a question about its API, such as `rules`. */
  ask<Data>(path: string): Promise<Data>;
}

/** The user without rights is Debian's and the machine's own: files of both are the same user's. */
const user = "nobody";
const environment = [
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  "HOME=/home/operator",
  "LANG=C.UTF-8",
  "WALG_STAND_IN=/srv/walg",
  "TZ=UTC",
];
const forward = new URL("../../harness/forward.ts", import.meta.url).pathname;

/** Takes the root over. */
export async function createScene(root: DebianRoot): Promise<Scene> {
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(root);
  const network = cleanup.use(await createPrivateNetwork());
  const packages = await packagesFor("amd64");
  await copyFile(packages.file(".deb"), join(root.path, "tmp/holdfast.deb"));
  await root.sh("dpkg -i /tmp/holdfast.deb && rm /tmp/holdfast.deb");
  for (const folder of ["home/operator", "storage"]) {
    await mkdir(join(root.path, folder));
    await giveTo(user, join(root.path, folder));
  }
  await writeFile(join(root.path, "etc/hosts"), "127.0.0.1 localhost prometheus prombackupserver k8s-worker5\n");
  await placeWalg(root);
  await placeBarman(root);

  const spawn = (script: string, as = `${user}:nogroup`) =>
    Bun.spawn(network.inside(root.inside(["env", "-i", ...environment, "bash", "-c", `cd || exit\n${script}`], as)), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      cwd: "/",
      detached: true,
    });
  const run: Scene["run"] = async (script) => {
    const child = spawn(script);
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, stdout, stderr };
  };
  const get: Scene["get"] = async (url, isRight = () => true) => {
    let last = "";
    return await waitFor(
      `the answer of ${url}`,
      async () => {
        last = await network.get(url).catch(String);
        return isRight(last) && !last.startsWith("Error: Cannot get") && last;
      },
      30_000,
    ).catch((cause) => {
      throw new Error(`The last answer of ${url} was:\n${last.slice(-3000)}`, { cause });
    });
  };

  const postgres = cleanup.use(await startPostgres({}, { segmentMiB: 1 }));
  const logs = cleanup.use(await createFolder("holdfast-scene"));
  const socket = join(postgres.socketFolder, `.s.PGSQL.${postgres.port}`);
  const server = (name: string, command: readonly string[]) =>
    new ServerProcess({
      command: network.inside(command),
      user: "root",
      logFile: join(logs.path, `${name}.log`),
      cwd: "/",
    });
  cleanup.use(server("forward", [process.execPath, forward, `5432=${socket}`, "30266=7070"]));
  const prometheus = [
    "prometheus",
    `--config.file=${await adaptPrometheusConfig(root)}`,
    "--web.listen-address=:9090",
    "--web.enable-admin-api",
    `--storage.tsdb.path=${join(root.path, "storage")}`,
  ];
  cleanup.use(server("prometheus", asUser(user, prometheus)));
  await get("http://localhost:9090/-/ready");
  const owned = cleanup.move();
  return {
    root,
    postgres,
    run,
    start: (script, as) => owned.use(backgroundOf(spawn(script, as && `${as}:${as}`))),
    get,
    async ask<Data>(path: string) {
      const text = await network.get(`http://localhost:9090/api/v1/${path}`);
      return (JSON.parse(text) as { data: Data }).data;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function placeWalg(root: DebianRoot): Promise<void> {
  const standIn = await StandIn.create();
  try {
    await Bun.$`cp -r ${standIn.folder} ${join(root.path, "srv/walg")}`.quiet();
  } finally {
    await standIn.remove();
  }
  await chmod(join(root.path, "srv/walg"), 0o777);
  await root.sh("ln -s /srv/walg/wal-g /usr/local/bin/wal-g");
}

/** A `barman` that answers what a real one answered. */
async function placeBarman(root: DebianRoot): Promise<void> {
  const scenarios = { scenarios: ["mixed"], timeZone: "UTC" };
  const folder = join(root.path, "srv/barman");
  await mkdir(folder);
  const answer = async (...args: string[]) => {
    const { stdout, exitCode = 1 } = reply(scenarios, ["-f", "json", ...args]);
    await writeFile(join(folder, args.join(" ")), stdout);
    await writeFile(join(folder, `${args.join(" ")}.status`), String(exitCode));
    return stdout;
  };
  await answer("check", "all");
  const list = JSON.parse(await answer("list-backups", "all")) as Record<string, { backup_id: string }[]>;
  for (const [server, backups] of Object.entries(list)) {
    for (const { backup_id } of Array.isArray(backups) ? backups : []) await answer("show-backup", server, backup_id);
  }
  const script = `#!/bin/sh
shift 2
cat "/srv/barman/$*" || exit 2
exit "$(cat "/srv/barman/$*.status")"
`;
  await writeFile(join(root.path, "usr/local/bin/barman"), script, { mode: 0o755 });
}

/** The package's own job and rules where docs/monitoring.md wants them, with more targets and less patience. @returns The file. */
async function adaptPrometheusConfig(root: DebianRoot): Promise<string> {
  await root.sh(
    "install -d /etc/prometheus && cp -r /usr/share/doc/holdfast/config/prometheus/rules /etc/prometheus/rules",
  );
  const text = await Bun.file(join(root.path, "usr/share/doc/holdfast/config/prometheus/prometheus.yml")).text();
  const config = parse(text);
  config.global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
  // The example's own target is the service.
  config.scrape_configs[0].static_configs[0].targets.push(
    ...Object.values(targets).filter((one) => one !== targets.holdfast),
  );
  const file = join(root.path, "etc/prometheus/prometheus.yml");
  await writeFile(file, stringify(config));
  return file;
}
