/** The packages that scripts/package makes of dist/holdfast. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const repository = new URL("../..", import.meta.url).pathname;

const ownFormats = ["deb", "tar", ...(Bun.which("rpmbuild") === null ? [] : ["rpm"])];

export interface Packages {
  readonly folder: string;
  /** The one file whose name ends so, e.g. `.deb`. */
  file(ending: string): string;
}

/**
 * Packages for this machine's processor, or for arm64. Made once: again only when the executable, or a file that goes into them or
 * makes them, is another.
 * @param formats As `scripts/package --format` has them. Default: all whose programs are here, so that who needs one more needs no other run.
 */
export async function packagesFor(
  architecture: "amd64" | "arm64",
  formats: readonly string[] = ownFormats,
): Promise<Packages> {
  const folder = join(repository, "dist/packages-tested", `${architecture}-${formats.join("-")}`);
  const keyFile = Bun.file(join(folder, "key"));
  const key = await keyOf(architecture === "amd64" ? "dist/holdfast" : "dist/holdfast-linux-arm64");
  if (!(await keyFile.exists()) || (await keyFile.text()) !== key) {
    await rm(folder, { recursive: true, force: true });
    await makePackages(folder, architecture, formats);
    await keyFile.write(key);
  }
  const names = await readdir(folder);
  return {
    folder,
    file(ending) {
      const name = names.find((one) => one.endsWith(ending));
      if (name === undefined) throw new Error(`Cannot find a file that ends in ${ending} among ${names.join(", ")}`);
      return join(folder, name);
    },
  };
}

/** @throws {Error} scripts/package failed; with what it wrote. */
export async function makePackages(out: string, architecture: string, formats: readonly string[]): Promise<void> {
  const flags = [`--arch=${architecture}`, ...formats.map((format) => `--format=${format}`), `--out=${out}`];
  const child = Bun.spawn([process.execPath, "scripts/package.ts", ...flags], {
    cwd: repository,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const stderr = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`Cannot make packages: ${stderr}`);
}

async function keyOf(executable: string): Promise<string> {
  const patterns = [
    "packaging/**/*",
    "scripts/lib/package/*",
    "scripts/package.ts",
    "docs/**/*",
    "config/**/*",
    "package*.json",
    "*.md",
    "agent/commands/*.ts",
    "agent/compat/*.ts",
  ];
  const files = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: repository })]).sort();
  const hash = new Bun.CryptoHasher("sha256");
  for (const file of files) hash.update(`${file}\n`).update(await Bun.file(join(repository, file)).bytes());
  const { size, mtimeMs } = await Bun.file(join(repository, executable)).stat();
  return hash.update(`${size} ${mtimeMs}`).digest("hex");
}
