/** `holdfast snapshot verify`: whether a snapshot can be restored. */

import type { Storage } from "../../plugins/common/storage/storage.ts";
import { endOnStop } from "../system/signals.ts";
import type { Command } from "./command.ts";
import { damagedFiles, findBackup } from "./snapshot/backup-files.ts";
import { inspect, reportText } from "./snapshot/inspect.ts";
import { SnapshotServer, serverFlag } from "./snapshot/server.ts";
import { openTarget, targetFlags } from "./snapshot/target.ts";

export const command: Command = {
  name: "snapshot verify",
  summary: "Reads every byte of a snapshot: structure, checksums, and the counts in meta.json.",
  goStyle: true,
  operands: { usage: "ARCHIVE|FOLDER|NAME|BACKUP", least: 1, most: 1 },
  flags: [
    { ...serverFlag, help: "Let this server verify its snapshot NAME." },
    { name: "scratch", value: "DIR", help: "Unpack compressed archives here. Default: the system's temporary folder" },
    ...targetFlags,
    { name: "json", help: "Print JSON." },
  ],
  details:
    "With --target, every file of the backup is read and compared with its digest; BACKUP is a name, or `latest`.\n" +
    "Exit status 1 when anything is wrong. An empty snapshot is right, with a warning.",
  async run(flags, [path = ""]) {
    endOnStop();
    const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    if (flags.isSet("server")) {
      const answer = (await SnapshotServer.of(flags).json("POST", "api/verify", { name: path })) as {
        problems?: unknown[];
      };
      print(answer);
      return answer.problems?.length === 0 ? 0 : 1;
    }
    await using storage = await openTarget(flags);
    if (storage) return await verifyBackup(storage, path, flags.isSet("json") ? print : undefined);
    const report = await inspect(path, flags.text("scratch"));
    if (flags.isSet("json")) print(report);
    else process.stdout.write(reportText(report));
    return report.problems.length === 0 ? 0 : 1;
  },
};

/** What the target has is compared with what was verified before it went there: content that is equal is right. */
async function verifyBackup(
  storage: Storage,
  backup: string,
  print: ((value: unknown) => unknown) | undefined,
): Promise<number> {
  const manifest = await findBackup(storage, backup);
  const damaged = await damagedFiles(storage, manifest);
  const { name, verified, files, blocks } = manifest;
  if (print) print({ name, verified, files: files.length, damaged });
  else {
    for (const { path, stored, found } of damaged) {
      process.stdout.write(`damaged: ${path}: ${found}; remove ${stored} for the next backup to store it anew\n`);
    }
    const before = verified ? "" : ", not verified before it was stored";
    const verdict = damaged.length === 0 ? "right" : "damaged";
    process.stdout.write(`${verdict}: ${name}, ${blocks.length} blocks, ${files.length} files${before}\n`);
  }
  return damaged.length === 0 ? 0 : 1;
}
