/** pgrwl's README, word for word, by the executable under its name: receive, serve, restore; and the later generation's commands. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeWith } from "../../harness/describe-with.ts";
import { createMachine } from "../../harness/machine.ts";
import { startPostgres } from "../../harness/postgres.ts";
import { waitFor } from "../../harness/wait.ts";
import { pgrwlReceive, pgrwlReceiveConfig, pgrwlRestoreCommand, pgrwlServe, pgrwlServeConfig } from "./quick-starts.ts";

const forward = new URL("../../harness/forward.ts", import.meta.url).pathname;
const libpq = { PGHOST: "localhost", PGPORT: "5432", PGUSER: "postgres", PGPASSWORD: "postgres" };

/** A server at localhost:5432, and port 30266 of k8s-worker5 that leads to 7070. */
async function createScene() {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await startPostgres({}, { segmentMiB: 1 }));
  const machine = cleanup.use(await createMachine({ links: ["pgrwl"], folders: [server.socketFolder] }));
  const socket = join(server.socketFolder, `.s.PGSQL.${server.port}`);
  cleanup.use(machine.start(`exec ${process.execPath} ${forward} 5432=${socket} 30266=7070`));
  const owned = cleanup.move();
  return {
    server,
    machine,
    /** Fills a segment, and waits until it is there. @returns Its name. */
    async segment(): Promise<string> {
      const name = (await server.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")).trim();
      await server.psql("CREATE TABLE IF NOT EXISTS t (i int)");
      await server.psql("INSERT INTO t SELECT generate_series(1, 1000)");
      await server.psql("SELECT pg_switch_wal()");
      return name;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describeWith(["dist/holdfast", "postgresql", "a machine of its own"], "pgrwl", () => {
  test("the README's receive mode, serve mode and restore command work one after the other", async () => {
    await using scene = await createScene();
    const { machine } = scene;
    const receiver = machine.start(pgrwlReceiveConfig + pgrwlReceive);
    await machine.get("http://localhost:7070/status", (text) => JSON.parse(text).stream_status.running === true);
    const name = await scene.segment();
    await machine.get("http://localhost:7070/api/v1/wals", (text) => text.includes(name));
    const page = await machine.get("http://localhost:7070/metrics", (text) =>
      /^pgrwl_wal_files_received_total [1-9]/m.test(text),
    );
    expect(page).toContain("pgrwl_wal_bytes_received_total ");
    await scene.server.psql("INSERT INTO t VALUES (1)");
    await waitFor("the next segment", async () => (await machine.run("ls wals")).stdout.includes(".partial"));
    expect((await machine.run("ls wals")).stdout).toContain(name);
    expect((await machine.run("curl -s http://localhost:9847/")).status).toBe(7);
    expect(receiver.output()).toContain("level=info");
    expect(await receiver.stop()).toBe(0);

    const service = machine.start(pgrwlServeConfig + pgrwlServe);
    expect(JSON.parse(await machine.get("http://localhost:7070/status"))).toEqual({ running_mode: "serve" });
    expect(await machine.run("curl -fsS http://localhost:7070/healthz")).toMatchObject({ status: 0, stdout: "" });
    expect(
      await machine.run(`${pgrwlRestoreCommand(name, "RECOVERYXLOG")} && cmp RECOVERYXLOG wals/${name}`),
    ).toMatchObject({ status: 0, stderr: "" });
    const absent = `${name.slice(0, 12)}FFFF${name.slice(16)}`;
    expect(await machine.run(pgrwlRestoreCommand(absent, "RECOVERYXLOG2"))).toMatchObject({ status: 1 });
    expect((await machine.run(pgrwlRestoreCommand("00000002.history", "RECOVERYHISTORY"))).status).toBe(1);
    // The beginning of the last segment too, as ever.
    const partial = (await machine.run("cd wals && echo *.partial")).stdout.trim();
    expect(
      await machine.run(`${pgrwlRestoreCommand(partial.slice(0, 24), "P")} && cmp P wals/${partial}`),
    ).toMatchObject({
      status: 0,
    });
    await machine.get("http://localhost:7070/metrics", (text) =>
      /^pgrwl_serve_requests_total\{result="whole"\} [1-9]/m.test(text),
    );
    expect(await service.stop()).toBe(0);
    const cut = await machine.run(
      pgrwlRestoreCommand(name, "RECOVERYXLOG3").replace("command", "command --retry-timeout=1s --prefetch=0"),
    );
    expect(cut.status).toBeGreaterThan(125);
    expect(cut.stderr).toStartWith("holdfast restore-command: ");
  }, 180_000);

  test("the later generation's daemons take their configuration from variables, and store and serve what is encrypted", async () => {
    await using scene = await createScene();
    const { machine } = scene;
    const env = {
      ...libpq,
      PGRWL_MAIN_LISTEN_PORT: "7070",
      PGRWL_MAIN_DIRECTORY: "/storage/wal",
      PGRWL_RECEIVER_SLOT: "pgrwl_v6",
      PGRWL_STORAGE_COMPRESSION_ALGO: "gzip",
      PGRWL_STORAGE_ENCRYPTION_ALGO: "aes-256-gcm",
      PGRWL_STORAGE_ENCRYPTION_PASS: "qwerty123",
      PGRWL_LOG_FORMAT: "json",
    };
    await machine.run("mkdir /storage/wal");
    const receiver = machine.start("exec pgrwl daemon -m receive", env);
    await machine.get("http://localhost:7070/api/v1/status", (text) => JSON.parse(text).stream_status.running === true);
    const name = await scene.segment();
    await waitFor(
      "the upload",
      async () => (await machine.run("ls /storage/wal/wal-archive")).stdout.includes(`${name}.gz.aes`),
      60_000,
    );
    // It served nothing while it received.
    expect((await machine.run(`curl -fs http://localhost:7070/api/v1/wal/${name}`)).status).toBe(22);
    expect(await receiver.stop()).toBe(0);
    expect(receiver.output()).toContain('{"ts":');
    expect(receiver.output()).not.toContain("qwerty123");
    await machine.run(`cp /storage/wal/${name} here; rm -f /storage/wal/${name}`);
    await using _ = machine.start("exec pgrwl daemon -m serve", env);
    await machine.get("http://localhost:7070/healthz");
    expect(await machine.run(`${pgrwlRestoreCommand(name, "RECOVERYXLOG")} && cmp here RECOVERYXLOG`)).toMatchObject({
      status: 0,
      stderr: "",
    });
  }, 180_000);

  test.each([
    ["pgrwl", 0, /Usage: pgrwl start\|daemon/, /^$/],
    ["pgrwl --version", 0, /^pgrwl version .*holdfast/, /^$/],
    ["pgrwl start -c config.yml", 1, /^$/, /the mode: there is none, expected receive or serve/],
    ["pgrwl daemon -c nowhere.yml -m receive", 1, /^$/, /nowhere\.yml: no such file/],
    ["pgrwl daemon -c config.yml -m recieve", 1, /^$/, /found "recieve"/],
    ["pgrwl validate -c config.yml -m receive", 0, /^Configuration is valid\.\n$/, /^$/],
    ["pgrwl backup -c config.yml", 1, /^$/, /pgrwl backup asks for: holdfast takes no base backups/],
    ["pgrwl restore --dest x", 1, /^$/, /./],
    ["pgrwl resotre-command --serve-addr=a:1 x y", 204, /^$/, /did you mean "restore-command"\?/],
    ["pgrwl --serve-addr=a:1 restore-command x y", 204, /^$/, /Unknown flag --serve-addr/],
    ["pgrwl restore-command 000000010000000000000001 x", 204, /^$/, /Missing --serve-addr/],
    ["pgrwl restore-command --serve-adr=a:1 000000010000000000000001 x", 204, /^$/, /./],
    ["pgrwl restore-command --serve-addr=a:1 x", 204, /^$/, /Expected: holdfast restore-command/],
  ])("%s: status %i", async (command, status, stdout, stderr) => {
    await using machine = await createMachine({ links: ["pgrwl"] });
    await machine.run(pgrwlReceiveConfig);
    const ended = await machine.run(command);
    expect(ended.stdout).toMatch(stdout);
    expect(ended.stderr).toMatch(stderr);
    expect(ended.status).toBe(status);
  });
});
