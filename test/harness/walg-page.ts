/** Reads a page of the plugin in a test. */
import { readSamples } from "./samples.ts";

/** Sample lines of a page, without how long commands took, by name and labels in the order of the alphabet. */
export function samplesOf(page: string): Record<string, number> {
  return Object.fromEntries(
    readSamples(page)
      .filter(({ name }) => !name.startsWith("walg_command_duration_seconds"))
      .map(({ name, labels, value }) => [name + inBraces(labels), value]),
  );
}

/** The samples of one family, by their labels. */
export function family(page: string, name: string): Record<string, number> {
  const samples = readSamples(page).filter((sample) => sample.name === name);
  return Object.fromEntries(samples.map(({ labels, value }) => [inBraces(labels), value]));
}

function inBraces(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? "" : `{${pairs.sort().join(",")}}`;
}
