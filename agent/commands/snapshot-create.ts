/** `holdfast snapshot create`: a new snapshot as an archive that is whole, or no archive. */
import { readFile, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { endOnStop } from "../system/signals.ts";
import { forTerminal } from "../system/terminal.ts";
import { type Command, type FlagValues, UsageError } from "./command.ts";
import { Download, DownloadError, type Received } from "./snapshot/download.ts";
import { type Output, openOutput, resumeOutput } from "./snapshot/output.ts";
import { Progress } from "./snapshot/progress.ts";
import { formatOf, SnapshotServer, serverFlag } from "./snapshot/server.ts";

const silenceMs = 120_000;

export const command: Command = {
  name: "snapshot create",
  summary: "Takes a Prometheus snapshot and downloads it; the file appears when it is whole and its digest is right.",
  goStyle: true,
  flags: [
    serverFlag,
    {
      name: "output",
      value: "PATH",
      help: "Write to this file, replacing it; - is stdout. Default: the server's name for it",
    },
    { name: "format", value: "FORMAT", help: "tar, tgz, tzst or zip. Default: tar" },
    { name: "skip_head", help: "Leave out what is in no block yet: up to three hours." },
    { name: "name", value: "NAME", help: "Download this snapshot instead of taking one." },
    { name: "keep_partial", help: "Keep what came of a tar when the download fails, to go on with it." },
    { name: "resume", value: "PARTIAL", help: "Go on with what --keep_partial kept." },
    { name: "quiet", help: "Show no progress." },
  ],
  details: "A broken connection is taken up again by itself where the server can do that and the format is tar.",
  async run(flags) {
    endOnStop();
    const format = formatOf(flags);
    const server = SnapshotServer.of(flags);
    const partial = flags.text("resume");
    if (partial !== undefined) return await resume(server, partial, flags);
    const path = flags.text("output");
    // Nothing is asked of the server that would then have nowhere to go.
    const early = path === undefined ? undefined : await openOutput(path, { mayReplace: true });
    try {
      if (path === undefined) await checkWritable(".");
      const name = flags.text("name") ?? (await server.takeSnapshot(flags.isSet("skip_head")));
      return await save(server, { name, format }, flags, early);
    } catch (error) {
      await early?.abandon(false);
      throw error;
    }
  },
};

interface Wanted {
  readonly name: string;
  readonly format: string;
}

const say = (message: string) => void process.stderr.write(`holdfast: ${forTerminal(message)}\n`);

async function save(
  server: SnapshotServer,
  wanted: Wanted,
  flags: FlagValues,
  early: Output | undefined,
  received?: Received,
): Promise<number> {
  const progress = new Progress("Downloading", !flags.isSet("quiet"));
  let output = early;
  const download = new Download(server, { ...wanted, progress, say, silenceMs }, received);
  try {
    await download.run(async (suggested) => {
      output ??= await openOutput(suggested, { mayReplace: false });
      return output;
    });
    await output?.complete();
    return 0;
  } catch (error) {
    // What somebody has kept once stays, unless going on with it is of no use any more.
    const left = error instanceof DownloadError ? error.received : received;
    const isKept = received !== undefined || flags.isSet("keep_partial");
    const kept = await output?.abandon(isKept && left !== undefined);
    if (kept !== undefined && left) {
      const note = { server: server.url, ...wanted, etag: left.etag, bytes: left.bytes };
      await Bun.write(`${kept}.json`, `${JSON.stringify(note)}\n`);
      say(`kept ${left.bytes} bytes; go on with: holdfast snapshot create --resume ${kept}`);
    }
    throw error;
  } finally {
    progress.end();
  }
}

async function resume(server: SnapshotServer, partial: string, flags: FlagValues): Promise<number> {
  let note: Record<string, unknown>;
  try {
    note = JSON.parse(await readFile(`${partial}.json`, "utf8"));
  } catch (cause) {
    throw new Error(`Cannot go on with ${partial}: no note of it in ${partial}.json`, { cause });
  }
  const { name, format, etag } = note;
  if (typeof name !== "string" || typeof format !== "string" || typeof etag !== "string") {
    throw new UsageError(`Cannot go on with ${partial}: its note cannot be read`);
  }
  const { output, handle } = await resumeOutput(partial);
  const hash = new Bun.CryptoHasher("sha256");
  const { size: bytes } = await handle.stat();
  for await (const chunk of Bun.file(partial).stream()) hash.update(chunk);
  const status = await save(server, { name, format }, flags, output, { bytes, etag, hash });
  await rm(`${partial}.json`, { force: true });
  return status;
}

/** @throws {Error} No file can be made in the folder. */
async function checkWritable(folder: string): Promise<void> {
  const probe = resolve(folder, `.holdfast-${Bun.randomUUIDv7()}`);
  try {
    await Bun.write(probe, "");
    await rm(probe);
  } catch (cause) {
    const found = await stat(folder).catch(() => undefined);
    throw new Error(`Cannot write to ${dirname(probe)}${found ? "" : ": no such folder"}`, { cause });
  }
}
