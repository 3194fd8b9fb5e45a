/** Whether the original's sections `storage`, `receiver.uploader` and `*.retention` ask for an archive, and which. Source: pgrwl, internal/config. */
import { fromOriginalStorage, originalStorage } from "../storage/original.ts";
import type { ArchiveSettingsInput } from "./settings.ts";

export type Scalar = string | number | boolean;

/** What is written, by key: `main.directory`. */
export type Written = ReadonlyMap<string, Scalar>;

/** What is wrong, at one of the original's keys. */
export interface OriginalProblem {
  readonly key: string;
  readonly message: string;
}

export const uploaderSections = ["storage.uploader", "receiver.uploader"] as const;
const retentionSections = ["storage.retention", "receiver.retention"] as const;

/** All scalars of a configuration, by key. */
export function writtenKeys(config: unknown): Written {
  const found = new Map<string, Scalar>();
  const look = (value: unknown, path: string): void => {
    if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) look(inner, path === "" ? name : `${path}.${name}`);
    } else if (value !== undefined && value !== null) found.set(path, value as Scalar);
  };
  look(config, "");
  return found;
}

/** Whether the original would upload anything, be it into a folder beside. */
export function asksForArchive(written: Written): boolean {
  const isSet = (key: string, ...unset: Scalar[]) => !["", ...unset].includes(written.get(key) ?? "");
  return (
    isSet("storage.name", "local") ||
    isSet("storage.compression.algo", "none") ||
    isSet("storage.encryption.algo", "none") ||
    retentionOf(written).retention !== undefined ||
    uploaderSections.some(
      (prefix) => written.has(`${prefix}.sync_interval`) || written.has(`${prefix}.max_concurrency`),
    )
  );
}

/** The archive that does what the originals' keys ask for; undefined where they ask for none. */
export function archiveOfOriginal(
  written: Written,
  directory: string,
): ArchiveSettingsInput | OriginalProblem | undefined {
  if (!asksForArchive(written)) return undefined;
  const read = originalStorage.safeParse(nested(written, "storage"));
  if (!read.success) {
    const [issue] = read.error.issues;
    return { key: ["storage", ...(issue?.path ?? [])].join("."), message: issue?.message ?? "expected another value" };
  }
  try {
    const { storage, codec } = fromOriginalStorage(read.data, directory);
    const { compression, encryption_password: passphrase } = codec;
    return { storage, compression, ...(passphrase === undefined ? {} : { encryption: { passphrase } }) };
  } catch (error) {
    return { key: "storage.name", message: error instanceof Error ? error.message : String(error) };
  }
}

/** How long WAL is kept, as it is written; nothing where it is kept for ever. */
export function retentionOf(written: Written): { retention?: { keep: Scalar; interval?: Scalar } } {
  for (const prefix of retentionSections) {
    const keep = written.get(`${prefix}.keep_period`);
    if (written.get(`${prefix}.enable`) !== true || keep === undefined) continue;
    const interval = written.get(`${prefix}.sync_interval`);
    return { retention: { keep, ...(interval === undefined ? {} : { interval }) } };
  }
  const window = written.get("retention.value");
  return written.get("retention.enable") === true && window !== undefined ? { retention: { keep: window } } : {};
}

/** The keys below a section as the tree that they were. */
function nested(written: Written, section: string): object {
  const tree: Record<string, unknown> = {};
  for (const [key, value] of written) {
    const [first, ...path] = key.split(".");
    const last = path.pop();
    if (first !== section || last === undefined) continue;
    let inner = tree;
    for (const step of path) {
      const deeper = (inner[step] ?? {}) as Record<string, unknown>;
      inner[step] = deeper;
      inner = deeper;
    }
    inner[last] = value;
  }
  return tree;
}
