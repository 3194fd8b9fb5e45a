/** The pgrwl plugin in the compiled executable: its thread is a worker of the instance's worker. */
import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Agent, runOnce, startAgent } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { startPostgres } from "../harness/postgres.ts";
import { sampleValue } from "../harness/samples.ts";
import { waitFor } from "../harness/wait.ts";

const untilStreaming = (agent: Agent, labels = {}) =>
  waitFor(
    "the stream",
    async () => {
      const page = await agent.scrape();
      return sampleValue(page, "pgrwl_connected", labels) === 1 && page;
    },
    60_000,
  ).catch((cause) => {
    throw new Error(agent.stderr.slice(-10).join("\n"), { cause });
  });

describeWith(["dist/holdfast", "postgresql"], "pgrwl in the executable", () => {
  test("receives, is seen at both addresses, goes on after a reload, and ends with the agent", async () => {
    await using server = await startPostgres({}, { segmentMiB: 1 });
    await using folder = await createFolder("holdfast-pgrwl");
    const directory = join(folder.path, "wal");
    const port = await freePort();
    const yaml = (more = "") => `plugins:
  main:
    plugin: pgrwl
    interval: 1s
    listen: 127.0.0.1:${port}
    labels: { cluster: main }
    config: { directory: ${directory}, slot: holdfast, postgres: "${server.conninfo()}"${more} }
`;
    await using agent = await startAgent(yaml());
    await untilStreaming(agent, { cluster: "main" });
    const status = async () => (await (await agent.fetch("/main/status")).json()) as { state: string };
    expect(await status()).toMatchObject({
      running_mode: "receive",
      state: "streaming",
      stream_status: { running: true },
    });
    const own = `http://127.0.0.1:${port}`;
    expect((await fetch(`${own}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${own}/api/v1/status`)).json()).toMatchObject({ running_mode: "receive" });
    expect(await (await fetch(`${own}/metrics`)).text()).toContain('pgrwl_receiver_state{state="streaming"');

    await server.psql("CREATE TABLE t AS SELECT generate_series(1, 10000); SELECT pg_switch_wal()");
    await waitFor("a segment", async () => (await readdir(directory)).some((name) => name.length === 24));

    const connectedSince = () =>
      server.psql("SELECT backend_start FROM pg_stat_replication WHERE application_name = 'holdfast'");
    const before = await connectedSince();
    await agent.configure(yaml(", status_interval: 5s"));
    agent.signal("SIGUSR1");
    await waitFor(
      "the new connection",
      async () => {
        const now = await connectedSince();
        return now !== "" && now !== before;
      },
      60_000,
    );
    await untilStreaming(agent, { cluster: "main" });
    expect(
      agent.stderr.filter((line) => /level=(warn|error)/.test(line) && line.includes("instance=main")),
    ).toHaveLength(
      // The slot was missing at first.
      1,
    );

    expect(await agent.stop()).toBe(0);
    expect((await server.psql("SELECT active FROM pg_replication_slots WHERE slot_name = 'holdfast'")).trim()).toBe(
      "f",
    );
  });

  test("a password from outside is in no log, status or configuration that is shown", async () => {
    await using server = await startPostgres({}, { access: ["local all all trust", "host replication all all md5"] });
    await using folder = await createFolder("holdfast-pgrwl");
    const yaml = `plugins:
  pgrwl:
    interval: 1s
    config:
      directory: ${join(folder.path, "wal")}
      slot: holdfast
      postgres: "host=127.0.0.1 port=${server.port} user=nobody password=\${WAL_PASSWORD}"
`;
    await using agent = await startAgent(yaml, { env: { WAL_PASSWORD: "sesam-oeffne-dich" } });
    const status = await waitFor("the refusal", async () => {
      const text = await (await agent.fetch("/pgrwl/status")).text();
      return text.includes('"problem"') && text.includes("waiting") && text;
    });
    const config = await (await agent.fetch("/pgrwl/api/v1/redacted-config")).text();
    expect(config).toContain("[REDACTED]");
    for (const text of [status, config, await agent.scrape(), agent.stderr.join("\n")]) {
      expect(text).not.toContain("sesam");
    }
    await waitFor("the reason", async () => {
      const failures = sampleValue(await agent.scrape(), "pgrwl_disconnects_total", { reason: "authentication" });
      return failures !== undefined && failures > 0;
    });
  });
});

describeWith(["dist/holdfast"], "check", () => {
  test("takes a configuration of the original below config:, and says what it cannot do", async () => {
    await using folder = await createFolder("holdfast-pgrwl");
    const file = join(folder.path, "holdfast.yml");
    const yaml = (storage: string) => `plugins:
  pgrwl:
    config:
      main: { listen_port: 7070, directory: ${folder.path}/wals }
      receiver: { slot: pgrwl_v5, no_loop: true }
      log: { level: info, format: text, add_source: true }
      storage: ${storage}
`;
    await writeFile(file, yaml("{ name: local }"));
    expect(await runOnce(["check", `--config.file=${file}`])).toMatchObject({ status: 0 });
    await writeFile(file, yaml("{ name: s3, compression: { algo: gzip } }"));
    const { status, stderr } = await runOnce(["check", `--config.file=${file}`]);
    expect(status).toBe(2);
    expect(stderr).toContain(
      'holdfast.yml:7:24: Cannot read plugins.pgrwl.config.storage.name "s3": Cannot use storage.name s3: storage.s3 is required',
    );
    const s3 = "{ url: http://s3, access_key_id: a, secret_access_key: b, bucket: wal, region: eu }";
    await writeFile(file, yaml(`{ name: s3, compression: { algo: gzip }, s3: ${s3} }`));
    expect(await runOnce(["check", `--config.file=${file}`])).toMatchObject({ status: 0 });
  });
});
