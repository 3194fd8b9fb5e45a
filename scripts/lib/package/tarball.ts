/** Tarballs for `/usr/local`, and the files of the container image. */
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { copyright, programContents, type Release, unitsByHand } from "./contents.ts";
import { type Entry, stage } from "./entries.ts";
import { execute } from "./execute.ts";

/**
 * @param scratch A folder for this tarball alone.
 * @returns The path of the tarball, in `out`.
 */
export async function buildTarball(release: Release, scratch: string, out: string): Promise<string> {
  const { version, architecture, time } = release;
  const name = `holdfast-${version}-linux-${architecture}`;
  await stage(await tarballContents(release), join(scratch, name), time);
  const order = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${time}`, "--format=gnu"];
  await execute(["tar", "--create", "--file=whole.tar", ...order, name], { cwd: scratch });
  // libdeflate takes a third of gzip's time, and writes no time into the file.
  const zipped = Bun.gzipSync(await Bun.file(join(scratch, "whole.tar")).bytes(), { level: 6, library: "libdeflate" });
  const unfinished = join(scratch, "unfinished.tar.gz");
  await Bun.write(unfinished, zipped);
  await mkdir(out, { recursive: true });
  const file = join(out, `${name}.tar.gz`);
  await rename(unfinished, file);
  return file;
}

/** Of what a package has, that which is the same below `/usr/local`, and what one needs to make a service of it by hand. */
async function tarballContents(release: Release): Promise<Entry[]> {
  const { repository } = release;
  const program = await programContents(release, "others");
  const doc = "share/doc/holdfast";
  return [
    ...program.map((entry) => ({ ...entry, path: entry.path.replace(/^usr\//, "") })),
    { path: `${doc}/LICENSE`, copyOf: join(repository, "LICENSE") },
    { path: `${doc}/copyright`, text: await copyright(release) },
    ...unitsByHand.map((file) => ({ path: `${doc}/${file}`, copyOf: join(repository, file) })),
  ];
}

/** Writes the files that the Dockerfile copies. @returns Their folder, `dist/docker/ARCHITECTURE`. */
export async function stageImage(release: Release): Promise<string> {
  const { repository, architecture, time } = release;
  const folder = join(repository, "dist/docker", architecture);
  const program = await programContents(release, "debian");
  const contents: Entry[] = [
    ...program.filter(({ path }) => /^usr\/(?:bin|lib)\//.test(path)),
    { path: "etc/holdfast/holdfast.yml", copyOf: join(repository, "packaging/holdfast.yml") },
    { path: "etc/holdfast/plugins", folder: true },
    { path: "usr/share/doc/holdfast/LICENSE", copyOf: join(repository, "LICENSE") },
    { path: "usr/share/doc/holdfast/copyright", text: await copyright(release) },
  ];
  await rm(folder, { recursive: true, force: true });
  await stage(contents, folder, time);
  return folder;
}
