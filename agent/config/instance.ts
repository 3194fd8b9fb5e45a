/** One entry under `plugins:` to an {@link InstanceConfig}. */
import { resolve } from "node:path";
import { zodIssues } from "../sdk/issues.ts";
import type { InstanceConfig, Place, Problem } from "./config.ts";
import { nameOf, problemsOf, rememberSubject, type Subject } from "./issues.ts";
import { instanceName, instanceSchema } from "./schema.ts";
import { secretsIn } from "./secrets.ts";
import { soundPart } from "./sound-part.ts";
import { find, type WrittenEntry } from "./written.ts";

/**
 * Reads an entry; an empty one is the plugin of that name with its defaults. What is wrong is told to `report`.
 * @param folder Relative paths start here.
 * @returns The entry without the keys that are wrong, which is good for finding more problems and never for running;
 *   undefined where that cannot be had. What stands below `config:` is not looked at.
 */
export function readInstance(
  name: string,
  entry: WrittenEntry,
  folder: string,
  report: (problem: Problem) => void,
): InstanceConfig | undefined {
  const subject: Subject = { name: nameOf("plugins", [name]), entry };
  const named = instanceName.safeParse(name);
  if (!named.success) {
    const [issue] = zodIssues(instanceName, named.error);
    report({ ...entry.key, message: `Cannot use the key ${JSON.stringify(name)} in plugins: ${issue?.message}` });
  }
  const { data, issues, broken } = soundPart(instanceSchema, entry.written.value ?? {});
  const remedy = "; the plugin's own settings stand below config:";
  for (const problem of problemsOf(subject, issues, remedy)) report(problem);
  // By these an instance is told apart: without them, complaints would follow from complaints.
  if (!data || !named.success || broken.has("plugin") || broken.has("labels")) return undefined;

  const place = (path: readonly PropertyKey[]): Place => find(entry, path).place;
  rememberSubject(place, subject);
  const config = entry.written.children.get("config");
  return {
    name,
    plugin: data.plugin ?? name,
    intervalSeconds: data.interval,
    timeoutSeconds: data.timeout,
    staleAfterSeconds: data.stale_after,
    labels: Object.fromEntries(Object.entries(data.labels ?? {}).filter(([, value]) => value !== "")),
    listen: data.listen,
    metricsPath: data.metrics_path,
    webConfig: data.web_config === undefined ? undefined : resolve(folder, data.web_config),
    config: data.config ?? {},
    secrets: config ? secretsIn(config.written) : [],
    place,
  };
}
