/** `holdfast snapshot prune`: removes what a server no longer needs. */
import { endOnStop } from "../system/signals.ts";
import type { Command, Flag } from "./command.ts";
import { SnapshotServer, serverFlag } from "./snapshot/server.ts";

const rules: readonly Flag[] = [
  {
    name: "keep_within",
    value: "DURATION",
    help: "Keep all that are younger, such as 1h30m or 7d; 0: none. Default: 1h",
  },
  { name: "keep_last", value: "N", help: "Keep the newest N." },
  { name: "keep_daily", value: "N", help: "Keep the newest of N days." },
  { name: "keep_weekly", value: "N", help: "Keep the newest of N weeks." },
  { name: "keep_monthly", value: "N", help: "Keep the newest of N months." },
];

interface Report {
  readonly removed?: readonly string[];
  readonly skipped?: readonly { readonly name: string; readonly reason: string }[];
  readonly failed?: readonly { readonly name: string; readonly error: string }[];
}

export const command: Command = {
  name: "snapshot prune",
  summary: "Removes old snapshots of a server.",
  goStyle: true,
  flags: [
    serverFlag,
    ...rules,
    { name: "dry_run", help: "Say what would be removed, and remove nothing." },
    { name: "json", help: "Print JSON." },
    { name: "quiet", help: "Say only what failed." },
  ],
  details:
    "Several rules keep what any of them keeps. What is in use or being written stays, and so does the last verified snapshot.\n" +
    "The original server knows --keep_within alone, and does not say what it did.",
  async run(flags) {
    endOnStop();
    const query: Record<string, string> = { keep_within: flags.text("keep_within") ?? "1h" };
    for (const { name } of rules) {
      const value = flags.text(name);
      if (value !== undefined) query[name] = value;
    }
    if (flags.isSet("dry_run")) query.dry_run = "true";
    const server = SnapshotServer.of(flags);
    const report = (await server.json("POST", "api/prune", query)) as Report;
    if (flags.isSet("quiet")) process.stderr.write(lines({ removed: [], failed: report.failed ?? [] }, false));
    else if (flags.isSet("json")) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else process.stdout.write(lines(report, flags.isSet("dry_run")));
    return (report.failed ?? []).length === 0 ? 0 : 1;
  },
};

function lines({ removed, skipped = [], failed = [] }: Report, isDry: boolean): string {
  if (removed === undefined) return "";
  const all = [
    ...removed.map((name) => `${isDry ? "would remove" : "removed"} ${name}`),
    ...skipped.map(({ name, reason }) => `kept ${name}: ${reason.replaceAll("_", " ")}`),
    ...failed.map(({ name, error }) => `failed ${name}: ${error}`),
  ];
  return all.map((line) => `${line}\n`).join("");
}
