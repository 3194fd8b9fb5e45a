/**
 * Makes the packages from the executables in dist/. Called by scripts/package, which builds these.
 * Arguments: `--arch=`, `--format=` (both repeatable) and `--out=`. The last lines on stdout are the files made.
 * A format whose program is missing is left out; when it was asked for by name, the exit status is 1.
 */
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json";
import type { Release } from "./lib/package/contents.ts";
import { buildDeb } from "./lib/package/deb.ts";
import { execute } from "./lib/package/execute.ts";
import { buildRpm } from "./lib/package/rpm.ts";
import { buildTarball, stageImage } from "./lib/package/tarball.ts";

const repository = resolve(import.meta.dir, "..");
const print = (text: string) => process.stdout.write(`${text}\n`);
const complain = (text: string) => process.stderr.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    arch: { type: "string", multiple: true },
    format: { type: "string", multiple: true },
    out: { type: "string", default: "dist/packages" },
  },
});
const out = resolve(values.out);

/** How each format is made, and by which program. */
const formats: Readonly<Record<string, { needs: string; build(release: Release, scratch: string): Promise<string> }>> =
  {
    deb: { needs: "dpkg-deb", build: (release, scratch) => buildDeb(release, scratch, out) },
    rpm: { needs: "rpmbuild", build: (release, scratch) => buildRpm(release, scratch, out) },
    tar: { needs: "tar", build: (release, scratch) => buildTarball(release, scratch, out) },
    docker: { needs: "true", build: stageImage },
  };
/** Debian's name of this machine's processor. */
const own = process.arch === "x64" ? "amd64" : process.arch;
/** Executables that scripts/build makes here: it knows how to make one for another processor only for arm64. */
const executables = new Map([[own, "dist/holdfast"]]);
if (own !== "arm64") executables.set("arm64", "dist/holdfast-linux-arm64");

/** That of the last commit, so that the same sources give the same packages. Source: reproducible-builds.org. */
async function releaseTime(): Promise<number> {
  const given = process.env.SOURCE_DATE_EPOCH;
  const text = given ?? (await execute(["git", "log", "-1", "--format=%ct"], { cwd: repository }));
  if (/^\d+\s*$/.test(text)) return Number(text);
  throw new Error(`Cannot read SOURCE_DATE_EPOCH ${JSON.stringify(given)}: expected Unix seconds`);
}

async function executableFor(architecture: string): Promise<string> {
  const file = executables.get(architecture);
  if (file === undefined) {
    throw new Error(`Cannot make packages for ${architecture}: expected ${[...executables.keys()].join(" or ")}`);
  }
  if (await Bun.file(join(repository, file)).exists()) return join(repository, file);
  throw new Error(`Cannot package ${file}: it is not there; scripts/build --arm64 makes it`);
}

async function writeChecksums(): Promise<void> {
  const names = (await readdir(out)).filter((name) => /\.(?:deb|rpm|tar\.gz)$/.test(name)).sort();
  if (names.length > 0) await Bun.write(join(out, "SHA256SUMS"), await execute(["sha256sum", ...names], { cwd: out }));
}

async function main(): Promise<number> {
  const wanted = values.format ?? Object.keys(formats);
  const time = await releaseTime();
  const maintainer = process.env.HOLDFAST_MAINTAINER ?? "holdfast maintainers <maintainers@holdfast.invalid>";
  let failed = false;
  await mkdir(join(repository, "dist"), { recursive: true });
  const scratch = await mkdtemp(join(repository, "dist/packaging-"));
  for (const [signal, status] of [["SIGINT", 130] as const, ["SIGTERM", 143] as const]) {
    process.once(signal, () => {
      rmSync(scratch, { recursive: true, force: true });
      process.exit(status);
    });
  }
  try {
    for (const architecture of values.arch ?? executables.keys()) {
      const executable = await executableFor(architecture);
      for (const name of wanted) {
        const format = formats[name];
        if (format === undefined)
          throw new Error(`Cannot make the format ${name}: expected ${Object.keys(formats).join(", ")}`);
        if (Bun.which(format.needs) === null) {
          complain(`Cannot make ${name} packages: ${format.needs} is not in PATH`);
          failed ||= values.format !== undefined;
          continue;
        }
        const folder = join(scratch, `${name}-${architecture}`);
        await mkdir(folder);
        const made = await format.build({ repository, version, architecture, executable, time, maintainer }, folder);
        await rm(folder, { recursive: true });
        print(relative(process.cwd(), made));
      }
    }
    if (wanted.some((name) => name !== "docker")) await writeChecksums();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return failed ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  complain(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
