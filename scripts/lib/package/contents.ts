/** What the packages install. */
import { join } from "node:path";
import { originalNames } from "../../../agent/compat/names.ts";
import { commandTable } from "./command-table.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completions.ts";
import type { Entry } from "./entries.ts";
import { copyrightText } from "./licences.ts";
import { commandsPage } from "./man-commands.ts";
import { markdownPage } from "./man-markdown.ts";

/** One release for one processor. */
export interface Release {
  /** Absolute path of the sources. */
  readonly repository: string;
  readonly version: string;
  /** Debian's name of the processor: `amd64` or `arm64`. */
  readonly architecture: string;
  /** Absolute path. */
  readonly executable: string;
  /** Unix seconds that stand for the moment of the release in everything made. */
  readonly time: number;
  /** `Name <address>`. */
  readonly maintainer: string;
}

/** The tools whose place the executable takes when it is called by their names. */
export const oldNames = [...originalNames].sort();

/** Where each shell looks for completions, below `/usr`. */
const completions = {
  bash: "share/bash-completion/completions/holdfast",
  fish: "share/fish/vendor_completions.d/holdfast.fish",
  zsh: { debian: "share/zsh/vendor-completions/_holdfast", others: "share/zsh/site-functions/_holdfast" },
} as const;

const doc = "usr/share/doc/holdfast";
const snapshotUnit = "config/systemd/holdfast-snapshot.service";
/** They are written for `/usr/local`. */
export const unitsByHand: readonly string[] = ["config/systemd/holdfast.service", snapshotUnit];
/** To read what the service is told and keeps, one has to be its user or root. */
const secretive = { owner: { user: "root", group: "holdfast" } } as const;

/** Everything below `/usr`, without the unit and the licence. */
export async function programContents(release: Release, zsh: keyof typeof completions.zsh): Promise<Entry[]> {
  const { repository, version, time } = release;
  const commands = await commandTable();
  const page = { date: new Date(time * 1000).toISOString().slice(0, 10), source: `holdfast ${version}` };
  const configuration = markdownPage(
    { ...page, name: "holdfast.yml", section: 5, manual: "File Formats" },
    "the configuration of holdfast",
    await Bun.file(join(repository, "docs/configuration.md")).text(),
  );
  return [
    { path: "usr/bin/holdfast", copyOf: release.executable, mode: 0o755 },
    ...oldNames.map((name) => ({ path: `usr/lib/holdfast/as/${name}`, linkTo: "../../../bin/holdfast" })),
    { path: "usr/share/man/man1/holdfast.1.gz", text: zipped(commandsPage(commands, page)), kind: "documentation" },
    { path: "usr/share/man/man5/holdfast.yml.5.gz", text: zipped(configuration), kind: "documentation" },
    { path: `usr/${completions.bash}`, text: bashCompletion(commands) },
    { path: `usr/${completions.fish}`, text: fishCompletion(commands) },
    { path: `usr/${completions.zsh[zsh]}`, text: zshCompletion(commands) },
    ...documentation(repository),
  ];
}

/** The unit, the user, the configuration: what a service of the system needs. */
export async function serviceContents(release: Release): Promise<Entry[]> {
  const packaging = join(release.repository, "packaging");
  const snapshots = await Bun.file(join(release.repository, snapshotUnit)).text();
  return [
    { path: "usr/lib/systemd/system/holdfast.service", text: await packagedUnit(release.repository) },
    { path: `${doc}/${snapshotUnit}`, text: snapshots.replaceAll("/usr/local/", "/usr/"), kind: "documentation" },
    { path: "usr/lib/sysusers.d/holdfast.conf", copyOf: join(packaging, "sysusers.conf") },
    { path: "etc/holdfast", folder: true, ...secretive, installedMode: 0o750 },
    { path: "etc/holdfast/plugins", folder: true },
    { path: "etc/holdfast/plugins.d", folder: true },
    {
      path: "etc/holdfast/holdfast.yml",
      copyOf: join(packaging, "holdfast.yml"),
      kind: "configuration",
      ...secretive,
      installedMode: 0o640,
    },
  ];
}

/** The licence of everything in the package, in one file. */
export async function copyright({ repository, time }: Release): Promise<string> {
  return await copyrightText(repository, new Date(time * 1000).getUTCFullYear());
}

/** As the repository has it, so that its links work: README.md, docs/ and config/. */
function documentation(repository: string): Entry[] {
  const files = ["README.md", "CHANGELOG.md", "docs/**/*", "config/**/*"].flatMap((pattern) => [
    ...new Bun.Glob(pattern).scanSync({ cwd: repository, onlyFiles: true }),
  ]);
  return files
    .filter((file) => !unitsByHand.includes(file))
    .sort()
    .map((file) => ({ path: `${doc}/${file}`, copyOf: join(repository, file), kind: "documentation" }));
}

/**
 * config/systemd/holdfast.service is installed by hand, into /usr/local: that of a package differs in its paths and its head.
 * @throws {Error} It is not written as this function knows it.
 */
export async function packagedUnit(repository: string): Promise<string> {
  const byHand = await Bun.file(join(repository, "config/systemd/holdfast.service")).text();
  const start = byHand.indexOf("[Unit]\n");
  const unit = byHand
    .slice(start)
    .replace(/^Documentation=.*$/m, `Documentation=man:holdfast(1) man:holdfast.yml(5) file:///${doc}/README.md`)
    .replaceAll("/usr/local/bin/", "/usr/bin/");
  if (start < 0 || !unit.includes(`file:///${doc}/`) || unit.includes("/usr/local")) {
    throw new Error("Cannot make the packages' unit: config/systemd/holdfast.service has other paths than expected");
  }
  return (await Bun.file(join(repository, "packaging/unit-head.txt")).text()) + unit;
}

/** Without a time in it. */
export function zipped(text: string): Uint8Array {
  return Bun.gzipSync(new TextEncoder().encode(text), { level: 9 });
}
