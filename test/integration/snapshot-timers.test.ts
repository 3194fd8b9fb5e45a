import { expect, test } from "bun:test";
import { chmod, cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { skipHeadName, snapshotFolderFixture } from "../harness/snapshot-fixture.ts";
import { prometheusAnswering, startSnapshotServer } from "../harness/snapshot-server.ts";

const config = new URL("../../config/", import.meta.url).pathname;
const main = new URL("../../agent/main.ts", import.meta.url).pathname;
const today = () => `prometheus-${new Date().toISOString().slice(0, 10)}.tar.zst`;

/** What cron hands to the shell. Source: crontab(5). */
async function cronCommand(): Promise<string> {
  const lines = (await Bun.file(join(config, "holdfast-snapshot.cron")).text()).split("\n");
  const line = lines.find((one) => /^\d/.test(one)) ?? "";
  return line.split(" ").slice(6).join(" ").replaceAll("\\%", "%");
}

/** What the unit runs, each after the one before; systemd's escapes are taken off. Source: systemd.service(5). */
async function unitCommand(): Promise<string> {
  const unit = await Bun.file(join(config, "systemd/holdfast-snapshot.service")).text();
  const commands = [...unit.matchAll(/^ExecStart=(.*)$/gm)].map(([, command = ""]) => `(${command})`);
  return commands.join(" && ").replaceAll("/usr/local/bin/", "").replaceAll("%%", "%").replaceAll("$$", "$");
}

test.each([
  ["the line for cron", cronCommand],
  ["the unit for a timer", unitCommand],
])("%s: an archive that is whole and verified, then older ones go; a failure leaves them", async (_, commandOf) => {
  await using folder = await createFolder("holdfast-timer");
  await using recorded = await snapshotFolderFixture();
  await using snapshots = await createFolder("holdfast-snapshots");
  await using prometheus = prometheusAnswering(async () => {
    await cp(join(recorded.path, skipHeadName), join(snapshots.path, skipHeadName), { recursive: true });
    return { body: JSON.stringify({ status: "success", data: { name: skipHeadName } }) };
  });
  await using server = await startSnapshotServer({ folder: snapshots.path, prometheus: prometheus.url });
  const bin = join(folder.path, "bin");
  const archives = join(folder.path, "archives");
  for (const path of [bin, archives]) await mkdir(path);
  await writeFile(join(bin, "holdfast"), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
  await chmod(join(bin, "holdfast"), 0o755);
  const old = Array.from({ length: 20 }, (_, n) => `prometheus-2020-01-${String(n + 1).padStart(2, "0")}.tar.zst`);
  for (const name of old) await writeFile(join(archives, name), "");
  const command = (await commandOf()).replace("cd /var/backups/prometheus && ", "");
  const run = async (endpoint: string) => {
    const environment = {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      PROMBACKUP_ENDPOINT: endpoint,
      STATE_DIRECTORY: archives,
    };
    const options = { cwd: archives, env: environment, stdin: "ignore", stdout: "ignore", stderr: "pipe" } as const;
    const child = Bun.spawn(["sh", "-c", command], options);
    const stderr = await new Response(child.stderr).text();
    return { status: await child.exited, stderr };
  };
  const failed = await run("http://127.0.0.1:1");
  expect(failed.status).not.toBe(0);
  expect(failed.stderr).toContain("connection refused");
  expect((await readdir(archives)).sort()).toEqual(old);
  // It may be midnight meanwhile.
  const before = today();
  expect(await run(server.url)).toEqual({ status: 0, stderr: "" });
  const [made = "", ...others] = (await readdir(archives)).filter((name) => !old.includes(name));
  expect([[before, today()].includes(made), others]).toEqual([true, []]);
  expect((await readdir(archives)).sort()).toEqual([...old.slice(7), made]);
});

test("cron, which looks into /usr/bin and /bin alone, finds the executable where a tarball puts it, too", async () => {
  const text = await Bun.file(join(config, "holdfast-snapshot.cron")).text();
  expect(/^PATH=(.*)$/m.exec(text)?.[1]?.split(":")).toEqual(["/usr/local/bin", "/usr/bin", "/bin"]);
});

describeWith(["systemd-analyze"], "the unit and the timer for snapshots", () => {
  test("have no setting that systemd does not know", async () => {
    await using folder = await createFolder("holdfast-unit");
    for (const name of ["holdfast-snapshot.service", "holdfast-snapshot.timer"]) {
      const text = await Bun.file(join(config, "systemd", name)).text();
      // The one thing that need not be there yet is the executable.
      await writeFile(join(folder.path, name), text.replaceAll("/usr/local/bin/holdfast ", "/bin/true "));
    }
    const { stderr, exitCode } = Bun.spawnSync([
      "systemd-analyze",
      "verify",
      join(folder.path, "holdfast-snapshot.service"),
      join(folder.path, "holdfast-snapshot.timer"),
    ]);
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  });
});
