/** The names of the tools that this executable replaces. Read at each start, so nothing is loaded here. */

export const originalNames = [
  "walg-exporter",
  "barman_exporter",
  "barman-exporter",
  "pgrwl",
  "prombackup",
  "prombackup-server",
] as const;
export type OriginalName = (typeof originalNames)[number];

/** Other names of the same tools. */
export const otherNames: Readonly<Record<string, OriginalName>> = {
  "barman-metrics-exporter": "barman_exporter",
  // The original's documents put its executable there.
  "barman_exporter/exporter": "barman_exporter",
  "prometheus-barman-exporter": "barman-exporter",
  "barman_exporter.py": "barman-exporter",
};

export function originalNamed(name: string): OriginalName | undefined {
  return originalNames.find((one) => one === name) ?? (Object.hasOwn(otherNames, name) ? otherNames[name] : undefined);
}

/**
 * The tool by whose name this process was called, through a link or a copy.
 * @param argv0 As the caller gave it, perhaps with a folder. Measured with Bun 1.4.5: `process.argv0` of a compiled executable
 *   is that, while `process.execPath` is the target of the link and `process.argv[0]` is always `bun`.
 */
export function calledAs(argv0: string): OriginalName | undefined {
  const [folder = "", name = ""] = ["", ...argv0.split("/")].slice(-2);
  return originalNamed(name) ?? originalNamed(`${folder}/${name}`);
}
