/** pgrwl's configuration as an instance of the plugin that takes its place. */
import { resolve } from "node:path";
import { asksForArchive, originalArchive } from "../../plugins/common/wal-archive/original-archive.ts";
import type { Scalar } from "../../plugins/common/wal-archive/original-keys.ts";
import { UsageError } from "../commands/command.ts";
import { parseDuration } from "../sdk/units.ts";
import type { Generation } from "./pgrwl.ts";
import { readConfigFile, readVariables } from "./pgrwl-keys.ts";
import type { Invocation, Translation } from "./tool.ts";

export interface Asked {
  readonly mode: "receive" | "serve";
  readonly generation: Generation;
  /** Undefined: the environment is the configuration. */
  readonly file: string | undefined;
  readonly withoutBaseBackups: boolean;
}

type Written = ReadonlyMap<string, Scalar>;

const levels: Readonly<Record<string, string>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
};
const formats: Readonly<Record<string, string>> = { text: "logfmt", pretty: "logfmt", json: "json" };

/** @throws {UsageError} Everything that is missing, wrong or no more, a line each. */
export async function translatePgrwl(
  asked: Asked,
  environment: Invocation["environment"],
  cwd: string,
): Promise<Translation> {
  const { file, mode } = asked;
  const { written, notes } =
    file === undefined ? readVariables(environment) : await readConfigFile(file, environment, cwd);
  const problems = problemsOf(written, asked);
  const level = String(written.get("log.level") ?? "info").toLowerCase();
  const format = String(written.get("log.format") ?? "text").toLowerCase();
  if (!Object.hasOwn(levels, level))
    problems.push(`log.level ${JSON.stringify(level)}: expected one of ${Object.keys(levels).join(", ")}`);
  if (!Object.hasOwn(formats, format))
    problems.push(`log.format ${JSON.stringify(format)}: expected one of ${Object.keys(formats).join(", ")}`);
  const folder = String(written.get("main.directory") ?? "");
  const directory = resolve(cwd, folder);
  // The storages of other machines have the folder's name in their paths as it is written.
  const archive = originalArchive(written, isLocal(written) ? directory : folder);
  if ("key" in archive) problems.push(`${archive.key}: ${archive.message}`);
  if (problems.length > 0) {
    throw new UsageError(`invalid config in ${file ?? "the environment"}:\n  - ${problems.join("\n  - ")}`);
  }
  const { concurrency, retention, ...place } =
    "key" in archive ? { concurrency: undefined, retention: undefined } : archive;
  // The later generation moves segments into a folder of the directory, whatever the storage is; who serves must look there.
  const isArchived = asked.generation === "later" || mode === "serve" || asksForArchive(written);
  const stored = isArchived ? (mode === "serve" ? place : { ...place, concurrency, retention }) : undefined;
  return {
    plugin: "pgrwl",
    log: { level: levels[level], format: formats[format] },
    instance: {
      listen: `:${written.get("main.listen_port")}`,
      config: {
        directory,
        ...(mode === "serve"
          ? { receive: false, serve: {} }
          : {
              slot: written.get("receiver.slot"),
              no_loop: written.get("receiver.no_loop") === true ? true : undefined,
              serve: asked.generation === "first" ? {} : undefined,
            }),
        archive: stored && tidy(stored),
      },
    },
    notes: [...notes, ...notesOf(written, asked)],
    remarks:
      mode === "receive"
        ? ["PGHOST, PGPORT, PGUSER, PGPASSWORD and the others of libpq come from the service's environment, as before"]
        : [],
  };
}

const isLocal = (written: Written): boolean => ["local", ""].includes(String(written.get("storage.name") ?? ""));

function problemsOf(written: Written, { mode, withoutBaseBackups }: Asked): string[] {
  const problems: string[] = [];
  const port = written.get("main.listen_port");
  if (port === undefined) problems.push("main.listen_port is required");
  else if (Number(port) > 65_535) problems.push(`main.listen_port ${port}: expected a port`);
  if (!written.has("main.directory")) problems.push("main.directory is required");
  if (mode === "receive" && !written.has("receiver.slot")) problems.push("receiver.slot is required in receive mode");
  const encryption = written.get("storage.encryption.algo") ?? "none";
  if (encryption !== "none" && !written.has("storage.encryption.pass"))
    problems.push("storage.encryption.pass is required");
  if (mode === "receive" && written.has("backup.cron") && !withoutBaseBackups) {
    problems.push(
      "backup.cron: holdfast takes no base backups; take them with pg_basebackup, Barman or WAL-G, and remove the key or start with --without-base-backups",
    );
  }
  for (const key of ["storage.retention.keep_period", "receiver.retention.keep_period", "retention.value"]) {
    const keep = written.get(key);
    const seconds = keep === undefined ? undefined : parseDuration(String(keep));
    if (keep !== undefined && (seconds === undefined || seconds < 60)) {
      problems.push(`${key} ${JSON.stringify(keep)}: expected a duration of at least 1m`);
    }
  }
  return problems;
}

function notesOf(written: Written, { withoutBaseBackups }: Asked): string[] {
  const notes: string[] = [];
  if (withoutBaseBackups && written.has("backup.cron"))
    notes.push("backup.cron is left out: nobody takes base backups now");
  if (written.get("storage.name") === "sftp") {
    notes.push("the SFTP server must be in known_hosts: pgrwl took any (ssh-keyscan prints its key)");
  }
  if (["backup.retention.enable", "backup.walretention.enable"].some((key) => written.get(key) === true)) {
    notes.push("backup.retention and backup.walretention are left out: no base backups are deleted");
  }
  return notes;
}

/** Without what is the default in holdfast too: the file is for people. */
function tidy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(
    ([key, inner]) => inner !== undefined && inner !== false && !(key === "compression" && inner === "none"),
  );
  return Object.fromEntries(entries.map(([key, inner]) => [key, tidy(inner)]));
}
