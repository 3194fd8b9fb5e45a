/** `holdfast snapshot verify`: whether a snapshot can be restored. */
import { endOnStop } from "../system/signals.ts";
import type { Command } from "./command.ts";
import { inspect, reportText } from "./snapshot/inspect.ts";
import { SnapshotServer, serverFlag } from "./snapshot/server.ts";

export const command: Command = {
  name: "snapshot verify",
  summary: "Reads every byte of a snapshot: structure, checksums, and the counts in meta.json.",
  goStyle: true,
  operands: { usage: "ARCHIVE|FOLDER|NAME", least: 1, most: 1 },
  flags: [
    { ...serverFlag, help: "Let this server verify its snapshot NAME." },
    { name: "scratch", value: "DIR", help: "Unpack compressed archives here. Default: the system's temporary folder" },
    { name: "json", help: "Print JSON." },
  ],
  details: "Exit status 1 when anything is wrong. An empty snapshot is right, with a warning.",
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
    const report = await inspect(path, flags.text("scratch"));
    if (flags.isSet("json")) print(report);
    else process.stdout.write(reportText(report));
    return report.problems.length === 0 ? 0 : 1;
  },
};
