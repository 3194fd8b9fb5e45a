/** Opens a target of a prombackup instance, with the settings and keys that stand in the agent's configuration. */
import { openStorage } from "../../../plugins/common/storage/open.ts";
import { storageSettings } from "../../../plugins/common/storage/settings.ts";
import type { Storage } from "../../../plugins/common/storage/storage.ts";
import type { InstanceConfig } from "../../config/config.ts";
import { formatProblem } from "../../config/problems.ts";
import { z } from "../../sdk/index.ts";
import { type Flag, type FlagValues, UsageError } from "../command.ts";
import { configFlag, readConfig } from "../configuration.ts";

/** Of the commands that read a target. */
export const targetFlags: readonly Flag[] = [
  { name: "target", value: "NAME", help: "A target of the configuration's `backup.targets`: a folder, S3 or SFTP." },
  { name: "instance", value: "NAME", help: "The instance that has it, where several do." },
  configFlag,
];

const shape = z.looseObject({
  backup: z.looseObject({ targets: z.record(z.string(), z.looseObject({ storage: storageSettings })) }),
});

/** Undefined where `--target` is not given. @throws {Error} There is no such target, or it cannot be opened. */
export async function openTarget(flags: FlagValues): Promise<Storage | undefined> {
  const target = flags.text("target");
  if (target === undefined) {
    const needless = ["instance", "config.file"].find((name) => flags.isSet(name));
    if (needless !== undefined) throw new UsageError(`--${needless} is of no use without --target`);
    return undefined;
  }
  const read = await readConfig(flags);
  if ("problems" in read) throw new Error(read.problems.map(formatProblem).join("\n"));
  const { file, instances } = read.config;
  const candidates = instances.filter(
    ({ name, plugin, config }) =>
      plugin === "prombackup" && name === (flags.text("instance") ?? name) && hasTarget(config, target),
  );
  const [instance, another] = candidates;
  if (instance === undefined) throw new Error(`No target ${JSON.stringify(target)} in ${file}${known(instances)}`);
  if (another !== undefined) {
    const names = candidates.map(({ name }) => name).join(", ");
    throw new UsageError(
      `Several instances have a target ${JSON.stringify(target)}: choose one with --instance: ${names}`,
    );
  }
  const settings = shape.safeParse(instance.config);
  const storage = settings.data?.backup.targets[target]?.storage;
  if (storage === undefined) {
    throw new Error(`Cannot use target ${JSON.stringify(target)}: holdfast check tells what is wrong with ${file}`);
  }
  return await openStorage(storage, { environment: process.env });
}

const targetsOf = (config: unknown): string[] => {
  const found = z.looseObject({ backup: z.looseObject({ targets: z.looseObject({}) }) }).safeParse(config);
  return Object.keys(found.data?.backup.targets ?? {});
};

const hasTarget = (config: unknown, target: string): boolean => targetsOf(config).includes(target);

function known(instances: readonly InstanceConfig[]): string {
  const names = instances.flatMap(({ name, plugin, config }) =>
    plugin === "prombackup" ? targetsOf(config).map((target) => `${target} of ${name}`) : [],
  );
  return `: it has ${names.join(", ") || "none"}`;
}
