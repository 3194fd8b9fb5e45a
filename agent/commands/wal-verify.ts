import type { WalArchive } from "../../plugins/common/wal-archive/archive.ts";
import { openInstanceArchive } from "../../plugins/common/wal-archive/instance-archive.ts";
import {
  completeSegments,
  type Verification,
  verifyArchive,
  verifyDepths,
} from "../../plugins/common/wal-archive/verify.ts";
import { messageOf } from "../host/failures.ts";
import { onStop } from "../system/signals.ts";
import { archivingInstance } from "./archiving-instance.ts";
import { type Command, type FlagValues, UsageError } from "./command.ts";
import { configFlag } from "./configuration.ts";
import { verificationDocument, verificationText } from "./verification-text.ts";

export const command: Command = {
  name: "wal verify",
  summary: "Finds gaps and damage in an archive of WAL.",
  flags: [
    configFlag,
    {
      name: "instance",
      value: "NAME",
      help: "The instance whose archive it is. Default: the only one of the plugin pgrwl.",
    },
    {
      name: "depth",
      value: "DEPTH",
      help: "names: only whether all are there; sampled: some are read; all: every object is read. Default: sampled",
    },
    { name: "json", help: "Print JSON." },
  ],
  details: `Follows all timelines, and reads their histories in any case. Segments in the instance's directory that are still to be
archived are no gaps.
Exit status: 0 the archive is whole, 1 it has gaps or damage or could not be asked, 2 wrong command line or configuration.`,
  async run(flags) {
    const depth = depthOf(flags);
    const { name, instance } = await archivingInstance(flags);
    const archive = await openInstanceArchive(instance, process.env);
    if (archive === undefined) throw new UsageError(`Cannot verify the archive of plugins.${name}: it has none`);
    await using _ = archive;
    const stopping = new AbortController();
    onStop((signal) => {
      stopping.abort(new Error(`ended by ${signal}`));
      process.exit(signal === "SIGINT" ? 130 : 143);
    });
    const verification = await verify(archive, depth, instance.directory, stopping.signal);
    const { description } = archive;
    const text = flags.isSet("json")
      ? `${JSON.stringify(verificationDocument(description, verification), undefined, 2)}\n`
      : verificationText(description, verification);
    process.stdout.write(text);
    return verification.isWhole && verification.segments > 0 ? 0 : 1;
  },
};

async function verify(
  archive: WalArchive,
  depth: Verification["depth"],
  directory: string | undefined,
  signal: AbortSignal,
): Promise<Verification> {
  const isTerminal = process.stderr.isTTY;
  try {
    return await verifyArchive(archive, {
      depth,
      waiting: () => (directory === undefined ? [] : completeSegments(directory)),
      signal,
      onRead: (read, of) => void (isTerminal && process.stderr.write(`\r${read} of ${of} objects read`)),
    });
  } catch (cause) {
    throw new Error(`Cannot verify ${archive.description}: ${messageOf(cause)}`, { cause });
  } finally {
    if (isTerminal) process.stderr.write("\r\u001b[K");
  }
}

function depthOf(flags: FlagValues): Verification["depth"] {
  const written = flags.text("depth") ?? "sampled";
  const depth = verifyDepths.find((one) => one === written);
  if (depth !== undefined) return depth;
  throw new UsageError(`Cannot use --depth=${written}: expected one of ${verifyDepths.join(", ")}`);
}
