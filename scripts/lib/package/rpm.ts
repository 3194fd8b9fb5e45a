/** RPM packages, by `rpmbuild`. Nothing is stripped: the executable would lose the program. */
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { copyright, programContents, type Release, serviceContents } from "./contents.ts";
import { type Entry, stage } from "./entries.ts";
import { execute } from "./execute.ts";

/** RPM's names of the processors, by Debian's. */
const architectures: Readonly<Record<string, string>> = { amd64: "x86_64", arm64: "aarch64" };
const revision = 1;

/**
 * @param scratch A folder for this package alone.
 * @returns The path of the package, in `out`.
 */
export async function buildRpm(release: Release, scratch: string, out: string): Promise<string> {
  const { repository, version, architecture, time } = release;
  const target = architectures[architecture] ?? architecture;
  const root = join(scratch, "root");
  const contents = await rpmContents(release);
  await stage(contents, root, time);
  const template = await Bun.file(join(repository, "packaging/rpm/holdfast.spec")).text();
  const spec = fill(template, {
    VERSION: version,
    RELEASE: String(revision),
    MAINTAINER: release.maintainer,
    ROOT: root,
    FILES: contents.map(fileLine).join("\n"),
    CHANGED: rpmDate(time),
  });
  await Bun.write(join(scratch, "holdfast.spec"), spec);
  const file = `holdfast-${version}-${revision}.${target}.rpm`;
  const defines = [`_topdir ${scratch}`, `_rpmdir ${scratch}/made`, "_build_name_fmt %%{NAME}.rpm"];
  const flags = defines.flatMap((define) => ["--define", define.replaceAll("%%", "%")]);
  const build = ["rpmbuild", "-bb", "--quiet", `--target=${target}-linux`, ...flags, "holdfast.spec"];
  await execute(build, { cwd: scratch, env: { SOURCE_DATE_EPOCH: String(time) } });
  await mkdir(out, { recursive: true });
  await rename(join(scratch, "made/holdfast.rpm"), join(out, file));
  return join(out, file);
}

async function rpmContents(release: Release): Promise<Entry[]> {
  const licences = "usr/share/licenses/holdfast";
  return [
    ...(await programContents(release, "others")),
    ...(await serviceContents(release)),
    { path: `${licences}/LICENSE`, copyOf: join(release.repository, "LICENSE"), kind: "licence" },
    { path: `${licences}/copyright`, text: await copyright(release), kind: "licence" },
    {
      path: "var/lib/holdfast",
      folder: true,
      owner: { user: "holdfast", group: "holdfast" },
      installedMode: 0o700,
    },
  ];
}

/** Source: the %files section in RPM's spec file format. */
function fileLine(entry: Entry): string {
  const { user = "root", group = "root" } = entry.owner ?? {};
  const staged = "mode" in entry && entry.mode !== undefined ? entry.mode : 0o644;
  const mode = entry.installedMode ?? ("folder" in entry ? 0o755 : staged);
  const marks = { configuration: "%config(noreplace) ", documentation: "%doc ", licence: "%license " };
  const mark = "folder" in entry ? "%dir " : entry.kind === undefined ? "" : marks[entry.kind];
  const attributes = "linkTo" in entry ? "-" : mode.toString(8).padStart(4, "0");
  return `%attr(${attributes}, ${user}, ${group}) ${mark}"/${entry.path}"`;
}

/** `Sat Nov 21 2026`. */
function rpmDate(time: number): string {
  const [day, date, month, year] = new Date(time * 1000).toUTCString().replace(",", "").split(" ");
  return `${day} ${month} ${date} ${year}`;
}

/** @throws {Error} The template wants what `values` lacks. */
function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/@([A-Z]+)@/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`Cannot fill packaging/rpm/holdfast.spec: @${name}@ has no value`);
    return value;
  });
}
