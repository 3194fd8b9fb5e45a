/** What a storage holds. Source: `wal-g st ls -r`. */

export const usageKinds = ["backups", "wal", "other"] as const;
/** Bytes by kind. */
export type StorageUsage = Readonly<Record<(typeof usageKinds)[number], number>>;

/** `obj 1048 2026-01-02 11:55:00.5 +0000 UTC wal_005/000000010000000000000002.lz4` */
const row = /^obj +(\d+) +\S+ \S+ [+-]\d{4} \S+ +(\S+)/;

/** The sizes of all objects, by the folder that they lie in. Source: wal-g, internal/storagetools/folder_list_handler.go. */
export function parseStorageUsage(output: string): StorageUsage {
  const usage = { backups: 0, wal: 0, other: 0 };
  for (let from = 0; from < output.length; ) {
    const lineEnd = output.indexOf("\n", from);
    const end = lineEnd === -1 ? output.length : lineEnd;
    const [, size = "0", path = ""] = row.exec(output.slice(from, end)) ?? [];
    from = end + 1;
    const kind = /(?:^|\/)wal_005\//.test(path) ? "wal" : /(?:^|\/)basebackups_005\//.test(path) ? "backups" : "other";
    usage[kind] += Number(size);
  }
  return usage;
}
