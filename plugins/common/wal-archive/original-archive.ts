/**
 * The original's sections `storage`, `receiver.uploader` and `*.retention` as our `archive:`, before defaults.
 * Source: pgrwl v1.0.15 to v1.0.37, internal/config.
 */
import type { CodecSettingsInput } from "../codec/settings.ts";
import { fromOriginalStorage, originalStorage } from "../storage/original.ts";
import type { StorageSettingsInput } from "../storage/settings.ts";
import type { Scalar } from "./original-keys.ts";

/** The original's keys by their names with dots, as `readOriginalKeys` gives them. */
export type Written = ReadonlyMap<string, Scalar>;

/** What is wrong, at one of the original's keys. */
export interface OriginalProblem {
  readonly key: string;
  readonly message: string;
}

/** As it stands in the YAML. */
export interface OriginalArchive {
  readonly storage: StorageSettingsInput;
  readonly compression: NonNullable<CodecSettingsInput["compression"]>;
  readonly encryption?: { readonly passphrase: string };
  readonly concurrency?: number;
  readonly retention?: { readonly keep: Scalar; readonly interval?: Scalar };
}

const prefixes = {
  uploader: ["storage.uploader", "receiver.uploader"],
  retention: ["storage.retention", "receiver.retention"],
};

/** Whether the original would upload anything, be it into a folder beside. */
export function asksForArchive(written: Written): boolean {
  const isSet = (key: string, ...unset: Scalar[]) => !["", ...unset].includes(written.get(key) ?? "");
  return (
    isSet("storage.name", "local") ||
    isSet("storage.compression.algo", "none") ||
    isSet("storage.encryption.algo", "none") ||
    retentionOf(written).retention !== undefined ||
    prefixes.uploader.some(
      (prefix) => written.has(`${prefix}.sync_interval`) || written.has(`${prefix}.max_concurrency`),
    )
  );
}

/** The section that does what the original's keys ask for, whether or not they ask for one. */
export function originalArchive(written: Written, directory: string): OriginalArchive | OriginalProblem {
  const storage = originalStorage.safeParse(nested(written, "storage"));
  if (!storage.success) {
    const [issue] = storage.error.issues;
    return { key: ["storage", ...(issue?.path ?? [])].join("."), message: inWords(issue?.message) };
  }
  try {
    const { storage: place, codec } = fromOriginalStorage(storage.data, directory);
    return {
      storage: place,
      compression: codec.compression ?? "none",
      ...(codec.encryption_password === undefined ? {} : { encryption: { passphrase: codec.encryption_password } }),
      ...concurrencyOf(written),
      ...retentionOf(written),
    };
  } catch (error) {
    return { key: "storage.name", message: error instanceof Error ? error.message : String(error) };
  }
}

/** zod's own text as the other problems of a configuration are put; any other text as it is. */
export function inWords(message = "expected another value"): string {
  const [, expected] = /^(?:Invalid|Too) \w+: expected (?:number to be )?(.*?)(?:, received \S+)?$/.exec(message) ?? [];
  if (expected === undefined) return message;
  const plain: Readonly<Record<string, string>> = { string: "text", number: "a number", boolean: "true or false" };
  const bound = expected.replace(/^>=/, "at least ").replace(/^<=/, "at most ");
  return `expected ${plain[expected] ?? bound.replace('""|', "").replaceAll("|", ", ")}`;
}

function concurrencyOf(written: Written): { concurrency?: number } {
  const [found] = prefixes.uploader.flatMap((prefix) => written.get(`${prefix}.max_concurrency`) ?? []);
  return found === undefined ? {} : { concurrency: Math.min(16, Number(found)) };
}

function retentionOf(written: Written): Pick<OriginalArchive, "retention"> {
  for (const prefix of prefixes.retention) {
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
