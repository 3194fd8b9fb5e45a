/**
 * PostgreSQL's `restore_command`. PostgreSQL takes statuses from 1 to 125 for "there is no such file", and ends the recovery; so 1 is
 * given for nothing else, and whatever else goes wrong ends above. This module is loaded for each segment: on the way of one
 * that was prefetched it loads nothing but the file system.
 */
import { resolve } from "node:path";
import {
  isPrefetching,
  makePrefetchFolder,
  notePosition,
  prefetchFolder,
  readPosition,
  takePrefetched,
  touchPosition,
  waitForPrefetch,
} from "../../plugins/common/wal-archive/prefetch-folder.ts";
import { systemIdentifierOf } from "../../plugins/common/wal-archive/segment-file.ts";
import { isExecutable } from "../host/executable.ts";
import { endOnStop } from "../system/signals.ts";
import { forTerminal } from "../system/terminal.ts";
import { type Command, type FlagValues, UsageError } from "./command.ts";

const status = {
  found: 0,
  absent: 1,
  outage: 200,
  misconfigured: 201,
  damaged: 202,
  local: 203,
  usage: 204,
  unexpected: 205,
} as const;

const wanted = /^(?:([0-9A-F]{24})|[0-9A-F]{24}\.partial|[0-9A-F]{24}\.[0-9A-F]{8}\.backup|[0-9A-F]{8}\.history)$/;
const mostPrefetched = 64;
const defaultPrefetched = "8";

export const command: Command = {
  name: "restore-command",
  summary: "Fetches one file of WAL for PostgreSQL's restore_command.",
  operands: { usage: "%f %p", least: 0, most: 2 },
  exitStatus: { usage: status.usage, failed: status.unexpected },
  flags: [
    { name: "serve-addr", value: "ADDRESS", help: "An agent that serves WAL: HOST:PORT, :PORT or a URL." },
    { name: "token-file", value: "FILE", help: "With serve-addr: a file with the token of the agent's serve:." },
    { name: "ca-file", value: "FILE", help: "With serve-addr: certificates in PEM to trust instead of the system's." },
    {
      name: "config.file",
      short: "c",
      value: "FILE",
      help: "Without serve-addr: the configuration of the agent that archives. Default: /etc/holdfast/holdfast.yml",
    },
    { name: "instance", value: "NAME", help: "The instance in it. Default: the only one of the plugin pgrwl." },
    { name: "retry-timeout", value: "DURATION", help: "How long an outage is waited for. Default: 60s" },
    {
      name: "prefetch",
      value: "N",
      help: `Segments fetched ahead, 0 to ${mostPrefetched}. Default: ${defaultPrefetched}`,
    },
    { name: "prefetch-into", value: "FOLDER", internal: true, help: "Is the prefetcher of this folder." },
  ],
  details: `In postgresql.conf:
  restore_command = 'holdfast restore-command --serve-addr=agent:9847/wal %f %p'
  restore_command = 'holdfast restore-command --config.file=/etc/holdfast/holdfast.yml --instance=wal %f %p'

Exit status: 0 the file is at %p, durably; 1 there is truly no such file. All others make PostgreSQL stop instead of ending the
recovery too early: 200 archive or agent not reached, 201 no repetition helps (keys, passphrase, address, another cluster's
WAL), 202 damaged, 203 cannot write at %p, 204 wrong command line or configuration, 205 a fault of holdfast itself.`,
  async run(flags, operands) {
    endOnStop();
    // Bun's own status for these is 1.
    for (const event of ["uncaughtException", "unhandledRejection"]) {
      process.on(event, (error: unknown) => {
        complain(`failed: ${error instanceof Error ? error.message : error}`);
        process.exit(status.unexpected);
      });
    }
    const folder = flags.text("prefetch-into");
    if (folder !== undefined) return await bePrefetcher(flags, folder);
    const [name, destination] = operands;
    if (name === undefined || destination === undefined) {
      throw new UsageError("Expected: holdfast restore-command [flags] %f %p");
    }
    return await restore(flags, name, destination);
  },
};

async function restore(flags: FlagValues, name: string, destination: string): Promise<number> {
  const match = wanted.exec(name);
  if (match === null) throw new UsageError(`Cannot restore ${JSON.stringify(name)}: it is no name of a WAL file`);
  const ahead = prefetchCount(flags);
  const isAhead = ahead > 0 && match[1] !== undefined;
  const folder = prefetchFolder(destination, sourceKey(flags));
  const systemIdentifier = systemIdentifierOf(".");
  if (isAhead) {
    const taken = await take(folder, name, destination, systemIdentifier);
    if (taken) return status.found;
  }
  const { openSource, readRetryMs, tokenFileWarning } = await import("./restore-source.ts");
  const { restoreFailure, restoreFile } = await import("../../plugins/common/wal-archive/restore.ts");
  let said = "";
  try {
    const retryMs = await readRetryMs(flags);
    const wasOurs = readPosition(folder) !== undefined;
    await using source = await openSource(flags, { systemIdentifier, wasOurs });
    const restored = await restoreFile({
      source,
      name,
      destination,
      systemIdentifier,
      retryMs,
      signal: new AbortController().signal,
      onRetry(message) {
        if (message !== said) complain(`${name}: ${message}; trying again`);
        said = message;
      },
    });
    if (restored === undefined) {
      touchPosition(folder);
      return status.absent;
    }
    if (isAhead && restored.found === "whole" && makePrefetchFolder(folder)) {
      notePosition(folder, { name, segmentSizeBytes: restored.sizeBytes });
      if (!isPrefetching(folder)) {
        // Once for a recovery, not for each segment.
        const warning = tokenFileWarning(flags);
        if (warning !== undefined) complain(warning);
        startPrefetcher(flags, folder);
      }
    }
    return status.found;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    complain(`${name}: ${error instanceof Error ? error.message : error}`);
    return status[restoreFailure(error)];
  }
}

/** Takes a segment that was prefetched, or just is. */
async function take(folder: string, name: string, destination: string, systemIdentifier: string | undefined) {
  let segmentSizeBytes = takePrefetched(folder, name, destination, systemIdentifier);
  if (segmentSizeBytes === undefined && isPrefetching(folder)) {
    await waitForPrefetch(folder, name);
    segmentSizeBytes = takePrefetched(folder, name, destination, systemIdentifier);
  }
  if (segmentSizeBytes === undefined) return false;
  notePosition(folder, { name, segmentSizeBytes });
  return true;
}

/** Two recoveries from different sources must not share segments. */
const sourceKey = (flags: FlagValues) =>
  JSON.stringify([flags.text("serve-addr"), flags.text("config.file"), flags.text("instance")]);

function prefetchCount(flags: FlagValues): number {
  const written = flags.text("prefetch") ?? defaultPrefetched;
  const count = Number(written);
  if (/^\d+$/.test(written) && count <= mostPrefetched) return count;
  throw new UsageError(`Cannot use --prefetch=${written}: expected a number from 0 to ${mostPrefetched}`);
}

/** Detached, so that it outlives this process and what PostgreSQL does to its group, with nothing of it open. */
function startPrefetcher(flags: FlagValues, folder: string): void {
  const passedOn = ["serve-addr", "token-file", "ca-file", "config.file", "instance", "prefetch"].flatMap((flag) => {
    const value = flags.text(flag);
    return value === undefined ? [] : [`--${flag}=${value}`];
  });
  const self = isExecutable ? [process.execPath] : [process.execPath, new URL("../main.ts", import.meta.url).pathname];
  try {
    Bun.spawn([...self, "restore-command", `--prefetch-into=${resolve(folder)}`, ...passedOn], {
      stdio: ["ignore", "ignore", "ignore"],
      detached: true,
    }).unref();
  } catch {
    // Without it the recovery is slower, and as good.
  }
}

async function bePrefetcher(flags: FlagValues, folder: string): Promise<number> {
  const { openSource } = await import("./restore-source.ts");
  const { prefetch } = await import("../../plugins/common/wal-archive/prefetch.ts");
  await using source = await openSource(flags);
  await prefetch({
    source,
    folder,
    count: prefetchCount(flags),
    systemIdentifier: systemIdentifierOf("."),
    idleMs: prefetcherIdleMs,
    signal: new AbortController().signal,
  });
  return status.found;
}

/** Longer than PostgreSQL waits until it asks a standby's archive again. */
const prefetcherIdleMs = 30_000;

function complain(text: string): void {
  process.stderr.write(`holdfast restore-command: ${forTerminal(text.replaceAll(/\s*\n\s*/g, " "))}\n`);
}
