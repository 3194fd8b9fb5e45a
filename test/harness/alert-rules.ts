/** The rules of `config/prometheus/rules`, as Prometheus reads them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export const rulesFolder = new URL("../../config/prometheus/rules/", import.meta.url).pathname;

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  /** Such as `15m`; undefined: at once. */
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string };
  /** The rule file's path. */
  readonly file: string;
}

export interface Recording {
  readonly record: string;
  readonly expr: string;
  readonly file: string;
}

type Rule = Alert | Recording;

export const ruleFiles: readonly string[] = readdirSync(rulesFolder)
  .filter((name) => name.endsWith(".yml"))
  .sort()
  .map((name) => join(rulesFolder, name));

const rules: readonly Rule[] = ruleFiles.flatMap((file) => {
  const { groups } = parse(readFileSync(file, "utf8")) as { groups: { rules: Omit<Rule, "file">[] }[] };
  return groups.flatMap(({ rules: members }) => members.map((rule) => ({ ...rule, file }) as Rule));
});

export const alerts: readonly Alert[] = rules.filter((rule): rule is Alert => "alert" in rule);
export const recordings: readonly Recording[] = rules.filter((rule): rule is Recording => "record" in rule);

/** Minutes of an alert's `for`. */
export function forMinutes({ for: text = "0m" }: Alert): number {
  const [, count, unit] = /^(\d+)([mh])$/.exec(text) ?? [];
  if (count === undefined) throw new SyntaxError(`Cannot read "${text}": expected minutes or hours`);
  return Number(count) * (unit === "h" ? 60 : 1);
}
