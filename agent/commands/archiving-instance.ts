/** The instance of the plugin pgrwl whose archive a command works on. */
import { type InstanceArchive, readInstanceArchive } from "../../plugins/common/wal-archive/instance-archive.ts";
import type { InstanceConfig } from "../config/config.ts";
import { formatProblem } from "../config/problems.ts";
import { nearest } from "../config/suggestions.ts";
import { type FlagValues, UsageError } from "./command.ts";
import { readConfig } from "./configuration.ts";

/**
 * The instance that `--instance` names in `--config.file`; the only one of the plugin where it is left out. A configuration with
 * a problem is not used: with half of a prefix, an archive would seem to be empty.
 * @throws {UsageError} There is no such instance, or the configuration cannot be used.
 */
export async function archivingInstance(flags: FlagValues): Promise<{ name: string; instance: InstanceArchive }> {
  const read = await readConfig(flags);
  if ("problems" in read) throw new UsageError(read.problems.map(formatProblem).join("; "));
  const { instances, file } = read.config;
  const { name, config } = choose(instances, flags.text("instance"), file);
  try {
    const instance = readInstanceArchive(config);
    if (instance.archive === undefined && instance.directory === undefined) throw new Error("it names no archive");
    return { name, instance };
  } catch (cause) {
    throw new UsageError(`Cannot use plugins.${name} in ${file}: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

function choose(instances: readonly InstanceConfig[], wanted: string | undefined, file: string): InstanceConfig {
  const candidates = instances.filter(({ plugin }) => plugin === "pgrwl");
  const names = candidates.map(({ name }) => name);
  const [first, ...others] = wanted === undefined ? candidates : candidates.filter(({ name }) => name === wanted);
  if (first !== undefined && others.length === 0) return first;
  if (first !== undefined) {
    throw new UsageError(
      `Cannot choose among the instances of pgrwl in ${file}: add --instance=NAME, of ${names.join(", ")}`,
    );
  }
  if (wanted === undefined) throw new UsageError(`Cannot find an instance of the plugin pgrwl in ${file}`);
  const hint = nearest(wanted, names);
  const meant = hint === undefined ? "" : `; did you mean ${JSON.stringify(hint)}?`;
  throw new UsageError(
    `No instance ${JSON.stringify(wanted)} of the plugin pgrwl in ${file}: it has ${names.join(", ") || "none"}${meant}`,
  );
}
