import { expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../../../agent/config/load.ts";
import {
  packagedUnit,
  programContents,
  serviceContents,
  unitsByHand,
  zipped,
} from "../../../../scripts/lib/package/contents.ts";
import { copyrightText } from "../../../../scripts/lib/package/licences.ts";
import { createFolder } from "../../../harness/folders.ts";
import { isRoot } from "../../../harness/users.ts";

const repository = new URL("../../../..", import.meta.url).pathname;
const read = (path: string) => Bun.file(join(repository, path)).text();

test("the copyright file names every package that the executable holds, with its licence, and what Bun holds", async () => {
  const text = await copyrightText(repository, 2026);
  const { dependencies } = await Bun.file(join(repository, "package.json")).json();
  for (const name of Object.keys(dependencies)) expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+`, "m"));
  for (const known of ["Copyright 2026 the holdfast authors", "pgpass 1", "JavaScriptCore", "LGPL-2", "boringssl"]) {
    expect(text).toContain(known);
  }
  // Of the tests' dependencies it holds nothing.
  expect(text).not.toMatch(/^(?:fast-check|typescript|playwright-core) \d/m);
});

test("the packages' unit differs from the one that is installed by hand in its paths alone", async () => {
  const settings = (unit: string) =>
    unit
      .slice(unit.indexOf("[Unit]"))
      .split("\n")
      .filter((line) => !line.startsWith("Documentation="));
  const byHand = (await read("config/systemd/holdfast.service")).replaceAll("/usr/local/bin", "/usr/bin");
  expect(settings(await packagedUnit(repository))).toEqual(settings(byHand));
});

test("the packages' example of a timer calls the executable where the packages put it, the tarball's where that does", async () => {
  const release = { repository, version: "0", architecture: "amd64", executable: "", time: 0, maintainer: "" };
  const path = "usr/share/doc/holdfast/config/systemd/holdfast-snapshot.service";
  const [unit, ...more] = (await serviceContents(release)).filter((entry) => entry.path === path);
  const byHand = await read("config/systemd/holdfast-snapshot.service");
  expect(byHand).toContain("/usr/local/bin/holdfast snapshot create");
  expect(unit).toMatchObject({ text: byHand.replaceAll("/usr/local/", "/usr/") });
  const others = await programContents(release, "debian");
  expect([...more, ...others.filter((entry) => entry.path === path)]).toEqual([]);
  expect(unitsByHand).toContain("config/systemd/holdfast-snapshot.service");
});

test("the configuration that packages bring is right", async () => {
  const result = await loadConfig(join(repository, "packaging/holdfast.yml"), { environment: {} });
  expect("problems" in result ? result.problems : []).toEqual([]);
});

test("a compressed text holds no time", () => {
  expect([...zipped("text").slice(4, 8)]).toEqual([0, 0, 0, 0]);
});

test("the Dockerfile copies only what scripts/package makes and .dockerignore lets through, and fetches nothing", async () => {
  const dockerfile = await read("Dockerfile");
  const copied = [...dockerfile.matchAll(/^(?:COPY|ADD) (?:--\S+ )*(\S+) \S+$/gm)].map(([, source]) => source);
  expect(copied).toEqual(["dist/docker/${TARGETARCH}/"]);
  expect(await read("scripts/lib/package/tarball.ts")).toContain('"dist/docker", architecture');
  expect((await read(".dockerignore")).split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([
    "*",
    "!dist",
    "dist/*",
    "!dist/docker",
  ]);
  expect(dockerfile).not.toMatch(/apt|apk|curl|wget|npm|https?:|syntax=/);
});

test.if(isRoot && Bun.which("systemd-sysusers") !== null)(
  "systemd makes the same user as the maintainer scripts do",
  async () => {
    await using folder = await createFolder("holdfast-sysusers");
    await Bun.write(join(folder.path, "etc/group"), "");
    const made = Bun.spawnSync([
      "systemd-sysusers",
      `--root=${folder.path}`,
      join(repository, "packaging/sysusers.conf"),
    ]);
    expect(made.exitCode).toBe(0);
    const [, , , , comment, home, shell] = (await Bun.file(join(folder.path, "etc/passwd")).text()).trim().split(":");
    expect([comment, home, shell]).toEqual(["holdfast backup agent", "/var/lib/holdfast", "/usr/sbin/nologin"]);
    for (const path of ["packaging/deb/postinst", "packaging/rpm/holdfast.spec"]) {
      const text = await read(path);
      for (const flag of [`--comment "${comment}"`, `--home-dir ${home}`, `--shell ${shell}`])
        expect(text).toContain(flag);
    }
  },
);
