/** What breaks the chain of WAL in the receive folder. */
import type { GapReason } from "./telemetry.ts";

/** Going on would leave a hole in the WAL, or mix the WAL of two servers. */
export class GapError extends Error {
  override readonly name = "GapError";
  readonly reason: GapReason;
  /** The file in the receive folder that stands in the way, if it is one. */
  readonly file: string | undefined;

  constructor(reason: GapReason, message: string, { file }: { file?: string } = {}) {
    super(message);
    this.reason = reason;
    this.file = file;
  }
}

/** What somebody can do about it, for the end of a message. */
export const remedies: Readonly<Record<GapReason, string>> = {
  system_identifier:
    "give this server a directory of its own, or set on_gap: continue to move the old files into set-aside/ and begin anew",
  wal_removed:
    "take a new base backup and set on_gap: continue, which goes on behind the gap; backups from before it cannot be recovered past it",
  slot_lost:
    "drop the slot and make it anew, or set create_slot: true; then reception goes on if the server still has the WAL",
  timeline: "connect to the server that was promoted last, or set on_gap: continue to follow this one",
  server_behind:
    "connect to the right server, or set on_gap: continue to move the files beyond its position into set-aside/",
  diverged:
    "connect to the right server, or set on_gap: continue to move the file into set-aside/ and receive it again",
};
