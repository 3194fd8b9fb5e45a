/** The tables of docs/monitoring.md are those of the rules and the dashboards. */
import { expect, test } from "bun:test";
import { basename } from "node:path";
import { dashboards } from "../../../scripts/lib/dashboards/index.ts";
import { alerts, recordings } from "../../harness/alert-rules.ts";

const page = Bun.file(new URL("../../../docs/monitoring.md", import.meta.url));

const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ").replaceAll("\n", " ")} |\n`).join("");

/** What differs from one alert to the next, by its name: `{{ $labels.server }}` as *server*. */
const withoutTemplates = (text: string) =>
  text.replaceAll(/\{\{-?\s*\$labels\.(\w+)\s*\}\}/g, "*$1*").replaceAll(/\{\{[^}]*\$value[^}]*\}\}/g, "…");

function alertTables(): string {
  const titles: Readonly<Record<string, string>> = {
    "holdfast-restorable.yml": "Can it be restored?",
    "holdfast-agent.yml": "The agent",
    "holdfast-barman.yml": "Barman",
    "holdfast-pgrwl.yml": "The WAL receiver",
    "holdfast-prombackup.yml": "Prometheus snapshots",
    "holdfast-walg.yml": "WAL-G",
  };
  const files = new Set(alerts.map(({ file }) => basename(file)));
  expect([...files].sort()).toEqual(Object.keys(titles).sort());
  return Object.entries(titles)
    .map(([file, title]) => {
      const rows = alerts
        .filter((one) => basename(one.file) === file)
        .map(({ alert, labels, for: wait = "at once", annotations }) => {
          const link = annotations.runbook.replace("docs/", "");
          return [`[\`${alert}\`](${link})`, labels.severity, wait, withoutTemplates(annotations.summary)];
        });
      return `### ${title}\n\n[${file}](../config/prometheus/rules/${file})\n\n${table(["Alert", "Severity", "After", "Says"], rows)}`;
    })
    .join("\n");
}

const recordingTable = () => {
  const code = (text: string) => `\`${text.trim().replaceAll(/\s+/g, " ").replaceAll("|", "\\|")}\``;
  return table(
    ["Series", "Is"],
    recordings.map(({ record, expr }) => [code(record), code(expr)]),
  );
};

const dashboardTable = () =>
  table(
    ["File", "Shows"],
    dashboards.map(({ name, title, description }) => [
      `[holdfast-${name}.json](../config/grafana/dashboards/holdfast-${name}.json)`,
      `**${title}** ${description}`,
    ]),
  );

/** With UPDATE_DOCS=1 the page is written anew. */
test.each([
  ["dashboards: begin, from the code", "dashboards: end", dashboardTable],
  ["alerts: begin, from the rules", "alerts: end", alertTables],
  ["recordings: begin, from the rules", "recordings: end", recordingTable],
])("docs/monitoring.md has what is between %s and its end", async (from, to, write) => {
  const text = await page.text();
  const [begin, end] = [text.indexOf(`<!-- ${from} -->\n\n`) + from.length + 11, text.indexOf(`<!-- ${to} -->`)];
  expect(end).toBeGreaterThan(begin - 1);
  const wanted = `${write()}\n`;
  if (Bun.env.UPDATE_DOCS) await page.write(text.slice(0, begin) + wanted + text.slice(end));
  else expect(text.slice(begin, end)).toBe(wanted);
});
