/** Where `restore-command` fetches from, as its flags say. Loads only what that source needs: it is on the way of each segment. */
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { WalSource } from "../../plugins/common/wal-archive/wal-source.ts";
import { type FlagValues, UsageError } from "./command.ts";

export interface Recovery {
  /** Of the cluster that is recovered, where it is known: a source of another's is refused. */
  readonly systemIdentifier?: string | undefined;
  /** Whether something of this cluster was found there before: then nobody has to look at the archive's own segments. */
  readonly wasOurs?: boolean;
}

/** @throws {UsageError} The flags, a file that they name or the configuration is wrong. */
export async function openSource(
  flags: FlagValues,
  { systemIdentifier, wasOurs = false }: Recovery = {},
): Promise<WalSource> {
  const address = flags.text("serve-addr");
  if (address !== undefined) {
    for (const flag of ["config.file", "instance"]) {
      if (flags.isSet(flag))
        throw new UsageError(`Cannot use --${flag} beside --serve-addr: WAL comes from one of them`);
    }
    const token = await readFlagFile(flags, "token-file");
    const ca = await readFlagFile(flags, "ca-file");
    const { ServeClient } = await import("../../plugins/common/wal-archive/serve-client.ts");
    return new ServeClient({ address, token: token?.trim(), ca, systemIdentifier });
  }
  for (const flag of ["token-file", "ca-file"]) {
    if (flags.isSet(flag)) throw new UsageError(`Cannot use --${flag} without --serve-addr`);
  }
  const [{ archivingInstance }, { openInstanceArchive }, { WalLookup }] = await Promise.all([
    import("./archiving-instance.ts"),
    import("../../plugins/common/wal-archive/instance-archive.ts"),
    import("../../plugins/common/wal-archive/lookup.ts"),
  ]);
  const { instance } = await archivingInstance(flags);
  const archive = await openInstanceArchive(instance, process.env);
  const description = archive?.description ?? instance.directory ?? "";
  return new WalLookup({
    directory: instance.directory,
    archive: archive && (() => archive),
    description,
    servesPartial: () => instance.servesPartial,
    expectsWal: () => true,
    systemIdentifier: wasOurs ? undefined : systemIdentifier,
  });
}

/** Whoever reads the token can fetch all that was ever written to the database. Undefined: nobody else can. */
export function tokenFileWarning(flags: FlagValues): string | undefined {
  const path = flags.text("token-file");
  const mode = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.mode;
  return mode === undefined || (mode & 0o004) === 0
    ? undefined
    : `every user of this machine can read the token in ${path}: chmod 0600 it`;
}

const defaultRetryMs = 60_000;

/** @throws {UsageError} It is no duration. */
export async function readRetryMs(flags: FlagValues): Promise<number> {
  const written = flags.text("retry-timeout");
  if (written === undefined) return defaultRetryMs;
  const { parseDuration } = await import("../sdk/units.ts");
  const seconds = parseDuration(written);
  if (seconds !== undefined) return seconds * 1000;
  throw new UsageError(`Cannot use --retry-timeout=${written}: expected a duration such as 60s`);
}

async function readFlagFile(flags: FlagValues, flag: string): Promise<string | undefined> {
  const path = flags.text(flag);
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new UsageError(`Cannot read --${flag}=${path}`, { cause });
  }
}
