/** prombackup's README, word for word, with a real Prometheus. */
import { expect, test } from "bun:test";
import { describeWith } from "../../harness/describe-with.ts";
import { createMachine, type Machine } from "../../harness/machine.ts";
import { prombackupCreate, prombackupCreateCompressed, prombackupPrune, prombackupServer } from "./quick-starts.ts";

const prometheus = `echo 'global: { scrape_interval: 1s }
scrape_configs: [{ job_name: self, static_configs: [{ targets: [localhost:9090] }] }]' >/tmp/prometheus.yml
exec prometheus --config.file=/tmp/prometheus.yml --web.listen-address=:9090 --web.enable-admin-api --storage.tsdb.path=/storage`;

const links = ["prombackup", "prombackup-server"];

describeWith(["dist/holdfast", "prometheus", "a machine of its own"], "prombackup with Prometheus", () => {
  test("the README's commands launch the server, create, compress and prune", async () => {
    await using machine = await createMachine({ links });
    await using _ = machine.start(prometheus);
    await machine.get("http://prometheus:9090/api/v1/query?query=up", (text) => text.includes('"1"'));
    await using server = machine.start(prombackupServer);
    expect(await machine.get("http://prombackupserver:8080/")).toContain("<title>Prometheus backup");
    expect(await machine.run(prombackupCreate)).toEqual({ status: 0, stdout: "", stderr: "" });
    const archive = await machine.run("tar -tf ./*Z-*.tar");
    expect([archive.status, archive.stdout]).toEqual([0, expect.stringContaining("/meta.json")]);
    expect(await machine.run(prombackupCreateCompressed)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect((await machine.run("tar -tzf /tmp/mybackup.tar.gz")).stdout).toContain("/meta.json");
    expect(await machine.run(prombackupPrune)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect((await machine.run("ls /storage/snapshots")).stdout.trim().split("\n")).toHaveLength(2);
    const metrics = await machine.get("http://prombackupserver:8080/metrics");
    expect(metrics).toContain("prombackup_server_download_tracked_count ");
    expect(await server.stop()).toBe(0);
  }, 180_000);
});

describeWith(["dist/holdfast", "a machine of its own"], "prombackup", () => {
  const check = async (machine: Machine, command: string, expected: readonly [number, RegExp, RegExp]) => {
    const { status, stdout, stderr } = await machine.run(command);
    expect([status, stdout, stderr]).toEqual([
      expected[0],
      expect.stringMatching(expected[1]) as unknown as string,
      expect.stringMatching(expected[2]) as unknown as string,
    ]);
  };

  test.each([
    ["prombackup-server -help", 0, /PROMBACKUP_SERVER_AUTOPRUNE_KEEP_WITHIN/, /^$/],
    ["prombackup-server -version", 0, /^prombackup-server, version \S+ \(branch: /, /^$/],
    ["prombackup-server", 1, /^$/, /Missing -snapshot_dir/],
    ["prombackup-server -snapshot_dir /s -autoprun", 2, /^$/, /did you mean --autoprune\?/],
    [
      "prombackup-server -snapshot_dir /s -autoprune_interval 1x",
      2,
      /^$/,
      /-autoprune_interval "1x": expected a duration/,
    ],
    [
      "PROMBACKUP_SERVER_AUTOPRUNE_ENABLE=maybe prombackup-server -snapshot_dir /s",
      1,
      /^$/,
      /AUTOPRUNE_ENABLE "maybe"/,
    ],
    ["prombackup", 2, /^$/, /Expected a command: create, prune/],
    ["prombackup -version", 0, /^Version /, /^$/],
    ["prombackup help", 0, /PROMBACKUP_ENDPOINT/, /^$/],
    ["prombackup help create", 0, /--output=PATH/, /^$/],
    ["prombackup create", 1, /^$/, /^prombackup: missing --server flag/],
    ["prombackup -server http://localhost:1 creat", 2, /^$/, /did you mean "create"\?/],
    [
      "prombackup -server http://localhost:1 create -outputt x",
      2,
      /^$/,
      /Unknown flag -{1,2}outputt, did you mean --output\?/,
    ],
    ["prombackup -server http://localhost:1 create", 1, /^$/, /connection refused/],
  ] as const)("%s: status %i", async (command, status, stdout, stderr) => {
    await using machine = await createMachine({ links });
    await check(machine, command, [status, stdout, stderr]);
  });
});
