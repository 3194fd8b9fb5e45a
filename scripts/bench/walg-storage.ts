/** Makes the answer of `wal-g backup-list --detail --json` for a large storage: one full backup, then six deltas, and so on. */

/** @param count Backups in all; every seventh is full. */
export function backupListOf(count: number): string {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, "0");
  const segmentOf = (index: number) => `00000001${hex(Math.floor(index / 64))}${hex((index % 64) * 4)}`;
  const begin = Date.UTC(2020, 0, 1);
  const records = Array.from({ length: count }, (_, index) => {
    const segment = segmentOf(index);
    const isFull = index % 7 === 0;
    const startedAt = begin + index * 3_600_000;
    const lsn = index * 4 * 2 ** 24 + 40;
    return {
      backup_name: isFull ? `base_${segment}` : `base_${segment}_D_${segmentOf(index - 1)}`,
      time: new Date(startedAt + 600_500).toISOString(),
      wal_file_name: segment,
      storage_name: "default",
      start_time: new Date(startedAt).toISOString(),
      finish_time: new Date(startedAt + 600_000).toISOString(),
      date_fmt: "%Y-%m-%dT%H:%M:%S.%fZ",
      hostname: "db1.example.org",
      data_dir: "/var/lib/postgresql/15/main",
      pg_version: 150015,
      start_lsn: lsn,
      finish_lsn: lsn + 272,
      is_permanent: false,
      system_identifier: "7507672962298572862",
      uncompressed_size: 2_000_000 + index,
      compressed_size: 700_000 + index,
    };
  });
  return `${JSON.stringify(records).replaceAll('"7507672962298572862"', "7507672962298572862")}\n`;
}

if (import.meta.main) process.stdout.write(backupListOf(Number(process.argv[2] ?? 10_000)));
