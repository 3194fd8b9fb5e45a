/** What an archive has, in the order in which it has it. */

/** A folder or a file. */
export interface ArchiveEntry {
  /** With the snapshot's name before it and no slash at its end: `20261121T071616Z-48d449c7c9037e84/01M7…/index`. */
  readonly path: string;
  readonly kind: "folder" | "file";
  /** 0 for a folder. */
  readonly sizeBytes: number;
  /** Unix seconds, rounded to the nearest. */
  readonly mtimeSeconds: number;
}

/** Source: Go's `time.Round(time.Second)`: half a second goes up. */
export function roundedSeconds(nanoseconds: bigint): number {
  const up = nanoseconds + 500_000_000n;
  const seconds = up / 1_000_000_000n;
  return Number(up < 0n && up % 1_000_000_000n !== 0n ? seconds - 1n : seconds);
}
