/** The report of `wal verify`, for people and for programs. */
import { formatLsn } from "../../plugins/common/postgres/lsn.ts";
import type { Verification } from "../../plugins/common/wal-archive/verify.ts";

export function verificationText(description: string, verification: Verification): string {
  const { isWhole, timelines, gaps, missingHistories, damaged, partials, restorable, segments } = verification;
  const lines = [`Archive      ${description}`];
  if (verification.systemIdentifier) lines.push(`System       ${verification.systemIdentifier}`);
  lines.push(`Stored       ${segments} segments, ${mebibytes(verification.storedBytes)} MiB in all`);
  lines.push(`Read         ${verification.readObjects} objects (depth ${verification.depth})`);
  if (restorable)
    lines.push(
      `Restorable   from ${formatLsn(restorable.oldestLsn)} to ${formatLsn(restorable.newestLsn)} without a gap`,
    );
  lines.push("", ...table(["TIMELINE", "FIRST", "LAST", "SEGMENTS"], timelines.map(cells)));
  if (gaps.length > 0) lines.push("", "Missing:", ...table(["TIMELINE", "FIRST", "LAST", "SEGMENTS"], gaps.map(cells)));
  if (missingHistories.length > 0) lines.push("", "Missing histories:", ...missingHistories.map((name) => `  ${name}`));
  if (damaged.length > 0)
    lines.push("", "Damaged:", ...damaged.map(({ objectName, message }) => `  ${objectName}: ${message}`));
  if (partials.length > 0) lines.push("", "Only begun:", ...partials.map((name) => `  ${name}`));
  const verdict =
    segments === 0
      ? "There is no WAL in this archive."
      : isWhole
        ? "The archive is whole."
        : "The archive is not whole.";
  return `${[...lines, "", verdict].join("\n")}\n`;
}

export function verificationDocument(description: string, verification: Verification): object {
  const { restorable, segmentSizeBytes, systemIdentifier } = verification;
  return {
    archive: description,
    whole: verification.isWhole,
    depth: verification.depth,
    system_identifier: systemIdentifier,
    segment_size_bytes: segmentSizeBytes,
    segments: verification.segments,
    stored_bytes: verification.storedBytes,
    read_objects: verification.readObjects,
    oldest_restorable_lsn: restorable && formatLsn(restorable.oldestLsn),
    newest_restorable_lsn: restorable && formatLsn(restorable.newestLsn),
    timelines: verification.timelines,
    gaps: verification.gaps,
    missing_histories: verification.missingHistories,
    damaged: verification.damaged.map(({ objectName, message }) => ({ object: objectName, message })),
    partials: verification.partials,
  };
}

interface Range {
  readonly timeline: number;
  readonly first: string;
  readonly last: string;
  readonly count: number;
}

const cells = ({ timeline, first, last, count }: Range) => [String(timeline), first, last, String(count)];

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
