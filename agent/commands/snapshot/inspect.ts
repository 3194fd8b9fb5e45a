/** Verifies a snapshot wherever it is, and puts the report into words. */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { archiveKind } from "../../../plugins/common/archive/open-archive.ts";
import { snapshotInTar, unpackSnapshot } from "../../../plugins/common/archive/snapshot-archive.ts";
import { snapshotFolder } from "../../../plugins/common/tsdb/block-files.ts";
import { type SnapshotReport, verifySnapshot } from "../../../plugins/common/tsdb/verify.ts";
import { sizeText } from "./progress.ts";

/**
 * Reads all of a folder or an archive. A plain tar is read where it is; any other is unpacked below `scratch` first.
 * @throws {Error} There is none, it is no archive, or cannot be read. Damage is in the report.
 */
export async function inspect(path: string, scratch = tmpdir()): Promise<SnapshotReport> {
  const full = resolve(path);
  const found = await stat(full).catch((cause: { code?: string }) => {
    throw new Error(`Cannot verify ${path}: ${cause.code === "ENOENT" ? "no such file or folder" : cause.code}`, {
      cause,
    });
  });
  if (found.isDirectory()) return await verifySnapshot(await snapshotFolder(full));
  if ((await archiveKind(full)) === "tar") {
    await using files = await snapshotInTar(full);
    return await verifySnapshot(files);
  }
  const folder = await mkdtemp(join(scratch, "holdfast-verify-"));
  try {
    await unpackSnapshot(full, folder);
    return await verifySnapshot(await snapshotFolder(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lines for people: each block, and everything that is wrong. */
export function reportText({ blocks, problems, warnings, sizeBytes }: SnapshotReport): string {
  const lines = blocks.map(({ ulid, meta, problems: own }) => {
    const range = meta
      ? `${moment(meta.minTime)} to ${moment(meta.maxTime)}  ${meta.stats.numSamples} samples`
      : "no meta.json";
    return `${ulid}  ${range}  ${own.length === 0 ? "right" : "damaged"}`;
  });
  for (const { file, check, found } of problems) lines.push(`damaged: ${file}: ${check}: ${found}`);
  for (const warning of warnings) lines.push(`warning: ${warning}`);
  const verdict = problems.length === 0 ? "right" : "damaged";
  lines.push(`${verdict}: ${blocks.length} ${blocks.length === 1 ? "block" : "blocks"}, ${sizeText(sizeBytes)}`);
  return lines.map((line) => `${line}\n`).join("");
}

const moment = (ms: number): string => (Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms));
