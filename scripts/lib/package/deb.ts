/** Debian packages, by `dpkg-deb`. Nothing is stripped: the executable would lose the program. */
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { copyright, programContents, type Release, serviceContents, zipped } from "./contents.ts";
import { type Entry, stage, stagedFiles } from "./entries.ts";
import { execute } from "./execute.ts";

const doc = "usr/share/doc/holdfast";
/** Of the packaging, behind the version. */
const revision = 1;

/**
 * @param scratch A folder for this package alone.
 * @returns The path of the package, in `out`.
 */
export async function buildDeb(release: Release, scratch: string, out: string): Promise<string> {
  const { version, architecture, time } = release;
  const root = join(scratch, "root");
  const contents = await debContents(release);
  await stage(contents, root, time);
  const control = await controlFiles(release, contents, root);
  await stage(control, root, time);
  const file = join(out, `holdfast_${version}-${revision}_${architecture}.deb`);
  const unfinished = join(scratch, "unfinished.deb");
  // xz, which every dpkg reads and lintian knows. Higher levels take much longer for a percent or two.
  const build = ["dpkg-deb", "--root-owner-group", "--threads-max=2", "-Zxz", "-z1", "--build", root, unfinished];
  await execute(build, { cwd: scratch, env: { SOURCE_DATE_EPOCH: String(time) } });
  await mkdir(out, { recursive: true });
  await rename(unfinished, file);
  return file;
}

async function debContents(release: Release): Promise<Entry[]> {
  const { repository } = release;
  const program = await programContents(release, "debian");
  return [
    ...program.filter(({ path }) => path !== `${doc}/CHANGELOG.md`),
    ...(await serviceContents(release)),
    { path: `${doc}/changelog.gz`, text: zipped(await Bun.file(join(repository, "CHANGELOG.md")).text()) },
    { path: `${doc}/changelog.Debian.gz`, text: zipped(changelog(release)) },
    { path: `${doc}/copyright`, text: await copyright(release) },
    {
      path: "usr/share/lintian/overrides/holdfast",
      copyOf: join(repository, "packaging/deb/lintian-overrides"),
    },
  ];
}

/** Source: deb-changelog(5). */
function changelog({ version, maintainer, time }: Release): string {
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  return `holdfast (${version}-${revision}) unstable; urgency=medium

  * Release ${version}: see changelog.gz beside this file.

 -- ${maintainer}  ${date}
`;
}

/** Source: deb-control(5), deb-conffiles(5), deb-md5sums(5). */
async function controlFiles(release: Release, contents: readonly Entry[], root: string): Promise<Entry[]> {
  const { repository, version, architecture, maintainer } = release;
  const source = join(repository, "packaging/deb");
  const files = await stagedFiles(root);
  const installedKiB = files.reduce((sum, { sizeBytes }) => sum + Math.ceil(sizeBytes / 1024), 0) + contents.length;
  const configuration = contents.filter(({ kind }) => kind === "configuration").map(({ path }) => `/${path}\n`);
  const sums = files
    .filter(({ path }) => !path.startsWith("etc/"))
    .map(async ({ path }) => `${await md5(join(root, path))}  ${path}\n`);
  const control = `Package: holdfast
Version: ${version}-${revision}
Section: admin
Priority: optional
Architecture: ${architecture}
Maintainer: ${maintainer}
Installed-Size: ${installedKiB}
Depends: libc6 (>= 2.17), passwd
Suggests: barman, prometheus
Description: ${(await Bun.file(join(source, "description")).text()).trimEnd()}
`;
  return [
    { path: "DEBIAN/control", text: control },
    { path: "DEBIAN/conffiles", text: configuration.join("") },
    { path: "DEBIAN/md5sums", text: (await Promise.all(sums)).join("") },
    ...["postinst", "prerm", "postrm"].map((name) => ({
      path: `DEBIAN/${name}`,
      copyOf: join(source, name),
      mode: 0o755,
    })),
  ];
}

async function md5(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("md5");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}
