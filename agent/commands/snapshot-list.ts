/** `holdfast snapshot list`: what a server has. */
import { endOnStop } from "../system/signals.ts";
import type { Command } from "./command.ts";
import { sizeText } from "./snapshot/progress.ts";
import { ServerError, SnapshotServer, serverFlag } from "./snapshot/server.ts";

interface Row {
  readonly name: string;
  readonly time: string;
  readonly size_bytes: number;
  readonly exclusive_bytes: number;
  readonly blocks: number;
  readonly verified: string;
  readonly complete: boolean;
  readonly in_use: boolean;
}

export const command: Command = {
  name: "snapshot list",
  summary: "Lists the snapshots of a server, the newest first.",
  goStyle: true,
  flags: [serverFlag, { name: "json", help: "Print JSON." }],
  async run(flags) {
    endOnStop();
    const server = SnapshotServer.of(flags);
    const answer = (await server.json("GET", "api/snapshots", {}).catch((error: unknown) => {
      if (!(error instanceof ServerError) || error.status !== 404) throw error;
      throw new Error(`Cannot list the snapshots of ${server.url}: the original prombackup-server has no list`);
    })) as { snapshots?: Row[] };
    const rows = answer.snapshots ?? [];
    process.stdout.write(flags.isSet("json") ? `${JSON.stringify(rows, null, 2)}\n` : table(rows));
    return 0;
  },
};

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, time, size_bytes, exclusive_bytes, blocks, verified, complete, in_use }) => [
    name,
    time,
    sizeText(size_bytes),
    sizeText(exclusive_bytes),
    String(blocks),
    complete ? verified : "incomplete",
    in_use ? "yes" : "no",
  ]);
  const lines = [["NAME", "TIME", "SIZE", "OWN", "BLOCKS", "VERIFIED", "IN USE"], ...cells];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
