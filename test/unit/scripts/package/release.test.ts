import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../../../agent/config/load.ts";
import { packagedUnit, zipped } from "../../../../scripts/lib/package/contents.ts";
import { copyrightText } from "../../../../scripts/lib/package/licences.ts";

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

test("paths that the maintainer scripts and the spec name are those of the unit and of the user", async () => {
  const scripts = ["postinst", "prerm", "postrm"].map((name) => read(`packaging/deb/${name}`));
  for (const text of await Promise.all(scripts)) {
    expect(text).toStartWith("#!/bin/sh\n");
    expect(text).toContain("\nset -e\n");
  }
  const unit = await read("config/systemd/holdfast.service");
  expect(unit).toContain("\nUser=holdfast\nGroup=holdfast\n");
  expect(unit).toContain("\nStateDirectory=holdfast\n");
  expect(existsSync(join(repository, "packaging/sysusers.conf"))).toBe(true);
});
