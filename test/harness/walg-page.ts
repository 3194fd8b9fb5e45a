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

/**
 * A page without the plugin's values that differ from run to run: how long commands took, and, where the clock runs,
 * what is measured from now.
 */
export function steadyPage(page: string, clock: "stands" | "runs"): string {
  const took = "walg_scrape_duration|walg_backup_list_duration|walg_wal_verify_duration|walg_storage_latency";
  const fromNow = "walg_pitr_window|walg_backup_since_last_completion|walg_scrape_last_success_timestamp";
  const changing = clock === "stands" ? took : `${took}|${fromNow}`;
  return page
    .replace(/^(?:# (?:HELP|TYPE) )?walg_command_duration_seconds.*\n/gm, "")
    .replace(new RegExp(`^((?:${changing})_seconds(?:\\{.*\\})?) .*$`, "gm"), "$1 …");
}

export const goldenPage = new URL("../fixtures/walg/f1/page.txt", import.meta.url);
