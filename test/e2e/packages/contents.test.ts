/** What the packages hold, as an ordinary user sees it, and what Debian's and RPM's own judges say of them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { oldNames, unitsByHand } from "../../../scripts/lib/package/contents.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../../harness/folders.ts";
import { makePackages, type Packages, packagesFor } from "../../harness/packages.ts";
import { asUser, serverUser } from "../../harness/users.ts";

const repository = new URL("../../..", import.meta.url).pathname;
/** An ordinary user: where this is run by one, that one. */
const nobody = serverUser("nobody");

/** Runs a command to its end. */
function run(...command: string[]): { status: number; stdout: string; stderr: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: "/", env: { ...process.env, LC_ALL: "C.UTF-8" } });
  return { status: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}
const digestOf = async (file: string) =>
  new Bun.CryptoHasher("sha256").update(await Bun.file(file).bytes()).digest("hex");
const isSame = async (one: string, other: string) => (await digestOf(one)) === (await digestOf(other));

describeWith(["dist/holdfast", "dpkg-deb"], "the .deb", () => {
  let deb: string;
  let packages: Packages;
  let folder: TemporaryFolder;
  beforeAll(async () => {
    packages = await packagesFor("amd64");
    deb = packages.file(".deb");
    folder = await unpackedByNobody(deb);
  }, 240_000);
  afterAll(() => folder[Symbol.asyncDispose]());

  test("unpacked by an ordinary user it has an executable that runs, under the old names too, and was not stripped", async () => {
    const executable = join(folder.path, "usr/bin/holdfast");
    expect(await isSame(executable, join(repository, "dist/holdfast"))).toBe(true);
    expect(run(...asUser(nobody, [executable, "version"])).stdout).toMatch(/^holdfast \d/);
    for (const name of oldNames) expect(existsSync(join(folder.path, "usr/lib/holdfast/as", name))).toBe(true);
  });

  test("it has manual pages, completions, documentation, the licences of all that the executable holds, and no other names in PATH", async () => {
    const { stdout } = run("dpkg-deb", "--contents", deb);
    const paths = stdout.split("\n").map((line) => line.split(/\s+/)[5]?.slice(1));
    for (const path of [
      "/usr/share/man/man1/holdfast.1.gz",
      "/usr/share/man/man5/holdfast.yml.5.gz",
      "/usr/share/bash-completion/completions/holdfast",
      "/usr/share/fish/vendor_completions.d/holdfast.fish",
      "/usr/share/zsh/vendor-completions/_holdfast",
      "/usr/share/doc/holdfast/copyright",
      "/usr/share/doc/holdfast/docs/configuration.md",
      "/usr/share/doc/holdfast/config/holdfast.yml",
    ]) {
      expect(paths).toContain(path);
    }
    expect(paths.filter((path) => path?.startsWith("/usr/bin/"))).toEqual(["/usr/bin/", "/usr/bin/holdfast"]);
    expect(stdout).not.toMatch(/^\S+ (?!root\/root )/m);
  });

  test("its unit is the repository's, at the paths of a package, and systemd finds nothing wrong with it", async () => {
    const file = join(folder.path, "usr/lib/systemd/system/holdfast.service");
    const unit = await Bun.file(file).text();
    expect(unit).toContain("\nExecStart=/usr/bin/holdfast run --config.file=/etc/holdfast/holdfast.yml\n");
    expect(unit).not.toContain("/usr/local");
    const timers = join(folder.path, "usr/share/doc/holdfast/config/systemd/holdfast-snapshot.service");
    expect(await Bun.file(timers).text()).not.toContain("/usr/local");
    if (Bun.which("systemd-analyze") === null) return;
    await Bun.write(file, unit.replaceAll("/usr/bin/holdfast ", "/bin/true ").replace(/^Documentation=.*\n/m, ""));
    expect(run("systemd-analyze", "verify", file)).toEqual({ status: 0, stdout: "", stderr: "" });
    const security = run("systemd-analyze", "security", "--offline=true", "--threshold=19", file);
    expect(security.status).toBe(0);
  });

  test("checksums of all packages stand beside them", () => {
    const sums = run("sh", "-c", `cd '${packages.folder}' && sha256sum --check SHA256SUMS`);
    expect(sums).toMatchObject({ status: 0, stderr: "" });
    expect(sums.stdout).toContain(".deb: OK");
  });

  describeWith(["lintian"], "before Debian's judge", () => {
    test("lintian finds nothing that is not overridden with a reason", () => {
      // Root would be warned of; the judge needs no rights.
      const { status, stdout } = run("lintian", "--fail-on=error,warning", "--allow-root", deb);
      expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    });
  });

  describeWith(["rpmbuild", "rpmlint"], "before RPM's judge", () => {
    test("rpmlint finds nothing that is not filtered with a reason", () => {
      const { stdout } = run("rpmlint", "-r", join(repository, "packaging/rpm/rpmlintrc"), packages.file(".rpm"));
      expect(stdout).toContain("0 errors, 0 warnings");
    });
  });
});

describeWith(["dist/holdfast"], "the tarball", () => {
  test("is the same each time, and has what one unpacks into /usr/local", async () => {
    await using folder = await createFolder("holdfast-tarball");
    const { file } = await packagesFor("amd64");
    await makePackages(folder.path, "amd64", ["tar"]);
    const [again = ""] = new Bun.Glob("*.tar.gz").scanSync({ cwd: folder.path, absolute: true });
    expect(await isSame(file(".tar.gz"), again)).toBe(true);

    run("tar", "-xzf", again, "-C", folder.path, "--strip-components=1");
    expect(run(join(folder.path, "bin/holdfast"), "version").stdout).toMatch(/^holdfast \d/);
    expect(run("readlink", "-f", join(folder.path, "lib/holdfast/as/pgrwl")).stdout.trim()).toBe(
      join(folder.path, "bin/holdfast"),
    );
    for (const file of ["LICENSE", "copyright", ...unitsByHand]) {
      expect(existsSync(join(folder.path, "share/doc/holdfast", file))).toBe(true);
    }
  }, 240_000);
});

describeWith(["dist/holdfast-linux-arm64", "rpmbuild"], "packages for arm64", () => {
  /** A C library for the emulator, from Debian's libc6-arm64-cross. */
  const library = "/usr/aarch64-linux-gnu";
  const canEmulate = Bun.which("qemu-aarch64-static") !== null && existsSync(library);

  test("hold an executable for that processor, which the emulator runs where it is installed", async () => {
    const packages = await packagesFor("arm64", ["rpm", "tar"]);
    expect(run("rpm", "-qp", "--queryformat", "%{ARCH}", packages.file(".rpm")).stdout).toBe("aarch64");
    await using folder = await createFolder("holdfast-arm64");
    run("tar", "-xzf", packages.file("-linux-arm64.tar.gz"), "-C", folder.path, "--strip-components=1");
    const executable = join(folder.path, "bin/holdfast");
    const header = new DataView(await Bun.file(executable).slice(0, 20).arrayBuffer());
    // Source: elf(5), e_ident and e_machine; 183 is EM_AARCH64.
    expect([header.getUint32(0), header.getUint16(18, true)]).toEqual([0x7f454c46, 183]);
    if (canEmulate)
      expect(run("qemu-aarch64-static", "-L", library, executable, "version").stdout).toContain("linux/arm64");
  }, 240_000);
});

async function unpackedByNobody(deb: string): Promise<TemporaryFolder> {
  const folder = await createFolder("holdfast-deb", nobody);
  // Nobody may be unable to enter the folder of the repository.
  const copy = join(folder.path, "holdfast.deb");
  await copyFile(deb, copy);
  const { status, stderr } = run(...asUser(nobody, ["dpkg-deb", "-x", copy, folder.path]));
  if (status !== 0) throw new Error(`Cannot unpack ${deb}: ${stderr}`);
  return folder;
}
