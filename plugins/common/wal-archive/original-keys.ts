/**
 * The keys of the original's own configuration, of all its generations, as they stand in its files, and below `config:`: accepted, and
 * told how they are written here. Source: pgrwl v1.0.15 to v1.0.37, internal/config.
 */
import { z } from "holdfast";

/** `info`: nothing is lost by the move; `warn`: what the key asks for is not done. */
export interface SettingNote {
  readonly level: "info" | "warn";
  /** The key as it is written, such as `main.directory`. */
  readonly key: string;
  /** How it is written here, or why it is not. */
  readonly here: string;
}

export interface OriginalKey {
  readonly key: string;
  readonly value: keyof typeof values;
  readonly here: string;
  readonly level: SettingNote["level"];
}

const values = {
  text: z.string(),
  flag: z.boolean(),
  number: z.union([z.int(), z.string()]),
  duration: z.union([z.string(), z.number()]),
} as const;

type Row = readonly [key: string, value: keyof typeof values];

const all = (level: SettingNote["level"], here: string, rows: readonly Row[]): OriginalKey[] =>
  rows.map(([key, value]) => ({ key, value, here, level }));

const retention = (prefix: string): Row[] => [
  [`${prefix}.enable`, "flag"],
  [`${prefix}.type`, "text"],
  [`${prefix}.value`, "duration"],
  [`${prefix}.keep_last`, "number"],
];
const oldRetention = (prefix: string): Row[] => [
  [`${prefix}.enable`, "flag"],
  [`${prefix}.sync_interval`, "duration"],
  [`${prefix}.keep_period`, "duration"],
];
export const originalKeys: readonly OriginalKey[] = [
  ...all("info", "directory", [["main.directory", "text"]]),
  ...all("info", "slot", [["receiver.slot", "text"]]),
  ...all("info", "no_loop", [["receiver.no_loop", "flag"]]),
  ...all("info", "listen, a key of the instance beside config", [["main.listen_port", "number"]]),
  ...all("info", "log.level, at the top of the file", [["log.level", "text"]]),
  ...all("info", "log.format, at the top of the file", [["log.format", "text"]]),
  ...all("info", "nowhere: every line names its instance", [["log.add_source", "flag"]]),
  ...all("info", "nowhere: metrics are always served", [["metrics.enable", "flag"]]),
  ...all("info", "nowhere: there is no profiler", [
    ["devconfig.pprof.enable", "flag"],
    ["dev_config.pprof.enable", "flag"],
  ]),
  ...all("info", "archive.storage", [
    ["storage.name", "text"],
    ...["host", "user", "pass", "pkey_path", "pkey_pass", "base_dir"].map(
      (name): Row => [`storage.sftp.${name}`, "text"],
    ),
    ["storage.sftp.port", "number"],
    ...["url", "access_key_id", "secret_access_key", "bucket", "region"].map(
      (name): Row => [`storage.s3.${name}`, "text"],
    ),
    ["storage.s3.use_path_style", "flag"],
    ["storage.s3.disable_ssl", "flag"],
  ]),
  ...all("info", "archive.compression", [["storage.compression.algo", "text"]]),
  ...all("info", "archive.encryption", [
    ["storage.encryption.algo", "text"],
    ["storage.encryption.pass", "text"],
  ]),
  ...all("info", "archive.concurrency", [
    ["storage.uploader.max_concurrency", "number"],
    ["receiver.uploader.max_concurrency", "number"],
  ]),
  ...all("info", "nowhere: a segment is uploaded as soon as it is complete", [
    ["storage.uploader.sync_interval", "duration"],
    ["receiver.uploader.sync_interval", "duration"],
  ]),
  ...all("info", "archive.retention", [
    ...oldRetention("storage.retention"),
    ...oldRetention("receiver.retention"),
    ["retention.enable", "flag"],
    ["retention.value", "duration"],
  ]),
  ...all("info", "nowhere: WAL stays that a base backup in the archive needs", [
    ["retention.type", "text"],
    ["retention.keep_last", "number"],
  ]),
  ...all("warn", "nowhere: this version deletes no base backups", [
    ...retention("backup.retention"),
    ["backup.walretention.enable", "flag"],
    ["backup.walretention.receiver_addr", "text"],
  ]),
  ...all("warn", "nowhere: this version takes no base backups", [["backup.cron", "text"]]),
];

const keyNamed = new Map(originalKeys.map((one) => [one.key, one]));

interface Sections {
  [name: string]: Sections | z.ZodType;
}

/** The sections as they stand beside the plugin's own keys: `main`, `receiver`, `storage` and so on. */
export const originalSections: Readonly<Record<string, z.ZodType>> = toShape(
  originalKeys.reduce<Sections>((tree, { key, value, here }) => {
    const path = key.split(".");
    const last = path.pop() ?? "";
    let section = tree;
    for (const step of path) {
      const inner = (section[step] ?? {}) as Sections;
      section[step] = inner;
      section = inner;
    }
    section[last] = values[value]
      .optional()
      .meta({ description: `Key of the original; here: ${here}.`, deprecated: true });
    return tree;
  }, {}),
);

function toShape(sections: Sections): Record<string, z.ZodType> {
  return Object.fromEntries(
    Object.entries(sections).map(([name, inner]) => [
      name,
      inner instanceof z.ZodType ? inner : z.strictObject(toShape(inner)).optional(),
    ]),
  );
}

export type Scalar = string | number | boolean;

/** What the originals' keys say, by key (`main.directory`), in the order of the schema. */
export function readOriginalKeys(config: Readonly<Record<string, unknown>>): ReadonlyMap<string, Scalar> {
  const found = new Map<string, Scalar>();
  const look = (value: unknown, path: string): void => {
    if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) look(inner, `${path}.${name}`);
    } else if (keyNamed.has(path)) found.set(path, value as Scalar);
  };
  for (const name of Object.keys(originalSections)) look(config[name], name);
  return found;
}

/** One note for each key of the original that is written. */
export function notesOn(found: ReadonlyMap<string, unknown>): SettingNote[] {
  return [...found.keys()].flatMap((key) => {
    const known = keyNamed.get(key);
    return known === undefined ? [] : [{ level: known.level, key, here: known.here }];
  });
}
