/** What is compiled in: licences that allow it, exactly the versions of the lockfile, each with the digest of what the registry has. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { z } from "zod";

const root = new URL("../..", import.meta.url).pathname;

/** Each allows to pass on the code in a program, with its notice. */
const permissive = new Set(["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Unlicense"]);

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
      optional: z.boolean().optional(),
      hasInstallScript: z.boolean().optional(),
    }),
  ),
});
const manifest = z.looseObject({
  version: z.string(),
  license: z.unknown().optional(),
  licenses: z.unknown().optional(),
});

const { packages } = lockfile.parse(JSON.parse(await readFile(`${root}package-lock.json`, "utf8")));
const inExecutable = Object.entries(packages).filter(
  ([path, { dev, devOptional, optional }]) => path !== "" && !dev && !devOptional && !optional,
);
const names = inExecutable.map(([path]) => path);

/** A licence as package.json has it today, and as older packages have it: `{ type }`, a list of them, `(MIT OR …)`. */
function licenceOf({ license, licenses }: z.output<typeof manifest>): string[] {
  const texts = z.string().or(z.looseObject({ type: z.string() }).transform(({ type }) => type));
  const found = z.union([texts.transform((text) => [text]), z.array(texts)]).parse(license ?? licenses);
  return found.flatMap((text) => text.replace(/[()]/g, "").split(/ OR /));
}

test("there are packages in the executable", () => {
  expect(names).toContain("node_modules/hono");
  expect(names).toContain("node_modules/ssh2");
  expect(names).not.toContain("node_modules/typescript");
});

test.each(names)("%s may be passed on, and is the version of the lockfile", async (path) => {
  const found = manifest.parse(JSON.parse(await readFile(`${root}${path}/package.json`, "utf8")));
  expect(licenceOf(found).some((licence) => permissive.has(licence))).toBe(true);
  expect(found.version).toBe(packages[path]?.version ?? "");
});

test("every package of the lockfile is one of the registry, with its digest", () => {
  const others = Object.entries(packages).filter(
    // Of the registry, this lockfile leaves out the address; one of elsewhere would be there.
    ([path, { resolved, integrity = "" }]) =>
      path !== "" && (resolved !== undefined || !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity)),
  );
  expect(others.map(([path]) => path)).toEqual([]);
});

test("no package that is compiled in runs a script when it is installed, unless it is refused", async () => {
  const allowed = z.object({ allowScripts: z.record(z.string(), z.boolean()) });
  const { allowScripts } = allowed.parse(JSON.parse(await readFile(`${root}package.json`, "utf8")));
  const scripted = inExecutable.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path);
  for (const path of scripted)
    expect([path, allowScripts[path.replace(/^.*node_modules\//, "")]]).toEqual([path, false]);
});
