/** The packages in a Debian root where no service manager runs: installed, used, upgraded, removed. The tests build on each other. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { oldNames } from "../../../scripts/lib/package/contents.ts";
import { missing } from "../../harness/available.ts";
import { createDebianRoot, type DebianRoot } from "../../harness/debian-root.ts";
import { createFolder } from "../../harness/folders.ts";
import { type Packages, packagesFor } from "../../harness/packages.ts";
import { runTool } from "../../harness/processes.ts";
import { waitFor } from "../../harness/wait.ts";
import { type Service, startService } from "./service.ts";

const reason = missing("dist/holdfast", "dpkg-deb");
const made = reason === undefined ? await createDebianRoot() : { reason };

if ("reason" in made)
  describe.skip(`packages in a Debian root (skipped: ${made.reason})`, () => test("none", () => {}));
else describe("packages in a Debian root", () => lifecycle(made));

const configFile = "etc/holdfast/holdfast.yml";
const edited = "# Edited here.\nplugins: {}\n";

function lifecycle(root: DebianRoot): void {
  let packages: Packages;
  let service: Service | undefined;
  let before: string;

  /** Every path, with owner and permissions; without what is the package manager's own, and logs. */
  const listing = () =>
    root.sh(
      "find / -xdev \\( -path /proc -o -path /dev -o -path /tmp -o -path /var/lib/dpkg -o -path /var/log -o -path /var/lib/rpm -o -path '/etc/*-' \\) -prune -o -printf '%p %u:%g %m\\n' | sort",
    );
  const rights = async (...paths: string[]) =>
    (await root.sh(`stat -c '%n %U:%G %a' ${paths.join(" ")}`)).trim().split("\n");
  const bring = async (file: string, name: string) => await copyFile(file, join(root.path, "tmp", name));

  beforeAll(async () => {
    packages = await packagesFor("amd64");
    await bring(packages.file(".deb"), "holdfast.deb");
    before = await listing();
  }, 240_000);
  afterAll(async () => {
    await service?.stop();
    await root[Symbol.asyncDispose]();
  }, 120_000);

  test("the .deb installs without a word of complaint, with a user, folders that others cannot enter, and an enabled unit", async () => {
    const { status, stderr } = await root.run(["dpkg", "-i", "/tmp/holdfast.deb"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(await root.sh("getent passwd holdfast")).toMatch(/:\/var\/lib\/holdfast:\/usr\/sbin\/nologin\n$/);
    expect(
      await rights("/etc/holdfast", "/etc/holdfast/holdfast.yml", "/etc/holdfast/plugins", "/var/lib/holdfast"),
    ).toEqual([
      "/etc/holdfast root:holdfast 750",
      "/etc/holdfast/holdfast.yml root:holdfast 640",
      "/etc/holdfast/plugins root:root 755",
      "/var/lib/holdfast holdfast:holdfast 700",
    ]);
    expect(await root.sh("readlink /etc/systemd/system/multi-user.target.wants/holdfast.service")).toMatch(
      /^(?:\/usr)?\/lib\/systemd\/system\/holdfast\.service\n$/,
    );
    expect(await root.sh("dpkg --verify holdfast; readlink -f /usr/lib/holdfast/as/*")).toBe(
      "/usr/bin/holdfast\n".repeat(oldNames.length),
    );
  });

  test("the configuration that it brings is right, and can be read by the service but by no other user", async () => {
    const check = ["holdfast", "check"];
    expect(await root.run(check, { user: "holdfast:holdfast" })).toMatchObject({ status: 0, stderr: "" });
    expect(await root.run(check, { user: "nobody:nogroup" })).toMatchObject({ status: 2 });
  });

  test("the service starts as its user and answers", async () => {
    service = await startService(root);
    expect(await service.scrape()).toContain("holdfast_config_last_reload_successful 1\n");
  });

  test("a reload of a wrong configuration is refused and changes nothing, one of a right configuration is done", async () => {
    const running = service as Service;
    const file = join(root.path, configFile);
    await writeFile(file, "plugins: [\n");
    expect(await running.reload()).toContain("holdfast.yml:");
    expect(await running.scrape()).toContain("holdfast_config_last_reload_successful 1\n");
    const lastReload = async () =>
      /^holdfast_config_last_reload_success_timestamp_seconds (\S+)$/m.exec(await running.scrape())?.[1];
    const earlier = await lastReload();
    await writeFile(file, edited);
    expect(await running.reload()).toBeUndefined();
    await waitFor("the reload", async () => (await lastReload()) !== earlier);
  });

  test("an upgrade keeps an edited configuration and its rights, puts the new one beside it, and does not stop what runs", async () => {
    await using folder = await createFolder("holdfast-upgrade");
    const newer = await nextVersion(packages.file(".deb"), folder.path);
    await bring(newer, "newer.deb");
    await chmod(join(root.path, configFile), 0o600);
    const { status } = await root.run(["dpkg", "--force-confdef", "--force-confold", "-i", "/tmp/newer.deb"]);
    expect(status).toBe(0);
    expect(await root.sh("dpkg-query -W -f '${Version} ${Status}' holdfast")).toBe("99.0.0-1 install ok installed");
    expect(await readFile(join(root.path, configFile), "utf8")).toBe(edited);
    expect(await readFile(join(root.path, `${configFile}.dpkg-dist`), "utf8")).toEndWith("# Of the newer version.\n");
    expect(await rights("/etc/holdfast", `/${configFile}`)).toEqual([
      "/etc/holdfast root:holdfast 750",
      "/etc/holdfast/holdfast.yml root:holdfast 600",
    ]);
    expect(service?.running).toBe(true);
    expect(await service?.stop()).toBe(0);
  });

  test("its removal keeps the configuration, its purge all but what the service wrote", async () => {
    await writeFile(join(root.path, "var/lib/holdfast/000000010000000000000001"), "WAL");
    expect(await root.run(["dpkg", "--remove", "holdfast"])).toMatchObject({ status: 0 });
    expect(await root.run(["test", "-e", "/usr/bin/holdfast"])).toMatchObject({ status: 1 });
    expect(await readFile(join(root.path, configFile), "utf8")).toBe(edited);
    const { status, stderr } = await root.run(["dpkg", "--purge", "holdfast"]);
    expect(status).toBe(0);
    expect(stderr).toContain("/var/lib/holdfast is left");
    expect(await root.run(["test", "-e", "/etc/holdfast"])).toMatchObject({ status: 1 });
    await rm(join(root.path, "var/lib/holdfast/000000010000000000000001"));
  });

  test("installed and purged again it leaves nothing behind but its user", async () => {
    await root.sh("dpkg -i /tmp/holdfast.deb >/dev/null && dpkg --purge holdfast >/dev/null");
    const traces = await root.sh("getent passwd holdfast; getent group holdfast");
    expect(traces).toMatch(/^holdfast:.*\nholdfast:.*\n$/);
    expect(await listing()).toBe(before);
  });

  describe.if(Bun.which("rpm") !== null)("the .rpm", () => {
    const rpm = (...args: string[]) =>
      runTool(["rpm", "--root", root.path, "--dbpath", "/var/lib/rpm", ...args], { user: "root", cwd: "/" });

    test("installs with its user and the same rights, and the service starts", async () => {
      await root.sh("userdel holdfast");
      // The Debian root has no packages of RPM's that it could need.
      await rpm("--install", "--nodeps", packages.file(".rpm"));
      expect(await rights("/etc/holdfast", `/${configFile}`, "/var/lib/holdfast")).toEqual([
        "/etc/holdfast root:holdfast 750",
        "/etc/holdfast/holdfast.yml root:holdfast 640",
        "/var/lib/holdfast holdfast:holdfast 700",
      ]);
      await using started = await startService(root);
      expect(await started.reload()).toBeUndefined();
      expect(await started.stop()).toBe(0);
    });

    test("keeps an edited configuration when it is upgraded and when it is removed", async () => {
      await writeFile(join(root.path, configFile), edited);
      await rpm("--upgrade", "--nodeps", "--force", packages.file(".rpm"));
      expect(await readFile(join(root.path, configFile), "utf8")).toBe(edited);
      await rpm("--erase", "holdfast");
      expect(await readFile(join(root.path, `${configFile}.rpmsave`), "utf8")).toBe(edited);
      expect(await root.run(["test", "-e", "/usr/bin/holdfast"])).toMatchObject({ status: 1 });
    });
  });
}

/** The same package as version 99.0.0-1, with a configuration that differs. */
async function nextVersion(deb: string, folder: string): Promise<string> {
  const tree = join(folder, "tree");
  const options = { user: "root", cwd: folder };
  await runTool(["dpkg-deb", "-R", deb, tree], options);
  const control = join(tree, "DEBIAN/control");
  await writeFile(control, (await readFile(control, "utf8")).replace(/^Version: .*$/m, "Version: 99.0.0-1"));
  await writeFile(join(tree, configFile), `${await readFile(join(tree, configFile), "utf8")}# Of the newer version.\n`);
  await runTool(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, "newer.deb"], options);
  return join(folder, "newer.deb");
}
