/** The page for people, as text. It works without its script, which only keeps it fresh. */

import type { Download } from "./downloads.ts";
import { formatNames, formats } from "./formats.ts";
import { escapeHtml, html, type Markup } from "./markup.ts";
import type { PruneReport } from "./pruning.ts";
import type { ListedSnapshot } from "./server.ts";

export interface PageContent {
  readonly snapshots: readonly ListedSnapshot[];
  readonly downloads: readonly Download[];
  readonly now: number;
  /** Where the metrics are: beside the page at the instance's own port, above it below the agent's. */
  readonly metricsPath: string;
  /** What the last action had to say. */
  readonly notice: string;
}

export function mainPage({ snapshots, downloads, now, metricsPath, notice }: PageContent): string {
  return document(
    "Prometheus backup",
    html`<h1>Prometheus backup</h1>
<p class="links"><a href="${metricsPath}">Metrics</a></p>
${notice === "" ? html`` : html`<p class="notice" role="status">${notice}</p>`}
<section><h2>Take a snapshot</h2>
<form method="post" action="./api/snapshot">
<fieldset><legend>Archive</legend>${formatNames.map(
      (name, index) =>
        html`<label><input type="radio" name="download_format" value="${name}"${index === 0 ? html` checked` : html``}> ${formats[name].extension}</label> `,
    )}</fieldset>
<label><input type="checkbox" name="skip_head" value="1"> Without the head: what is in no block yet</label>
<p><button>Take and download snapshot</button> <button formaction="./take">Take snapshot</button></p>
</form></section>
<section><h2>Snapshots</h2>
<table id="snapshots"><thead><tr><th>Name<th>Age<th>Size<th>Own<th>Blocks<th>Verified<th>Download<th></tr></thead><tbody>
${snapshots.length === 0 ? html`<tr><td colspan="8">(none)</td></tr>` : snapshots.map((one) => snapshotRow(one, now))}
</tbody></table></section>
<section><h2>Prune snapshots</h2>
<form method="get" action="./prune">
<label>Keep those younger than <input name="keep_within" value="1h" size="8" pattern="(\\d+(\\.\\d+)?(ms|[smhdw]))+|0" title="such as 1h30m or 7d"></label>
<label>and the newest <input name="keep_last" value="1" size="3" inputmode="numeric" pattern="\\d{1,5}"></label>
<button>Show what would be removed</button></form></section>
<section><h2>Downloads</h2>
<table><thead><tr><th>ID<th>Snapshot<th>Format<th>State<th>Progress</tr></thead><tbody id="downloads">
${downloads.length === 0 ? html`<tr><td colspan="5">(none)</td></tr>` : downloads.map(downloadRow)}
</tbody></table></section>
<script src="./page.js" defer></script>`,
  );
}

function snapshotRow(snapshot: ListedSnapshot, now: number): Markup {
  const { name, timeMs, sizeBytes, exclusiveBytes, blocks, isComplete, inUse, verified, problems } = snapshot;
  const state = isComplete ? verified : "incomplete";
  return html`<tr data-name="${name}"><td><code>${name}</code></td><td>${ageText(now - timeMs)}</td>
<td class="n">${sizeText(sizeBytes)}</td><td class="n">${sizeText(exclusiveBytes)}</td><td class="n">${String(blocks)}</td>
<td class="${state}" title="${problems.join("\n")}">${state === "unknown" ? "no" : state}</td>
<td>${formatNames.map((format) => html`<a href="./api/download?format=${format}&amp;name=${name}">${formats[format].extension}</a> `)}</td>
<td><form method="post" action="./verify"><input type="hidden" name="name" value="${name}"><button>Verify</button></form>
<form method="get" action="./delete"><input type="hidden" name="name" value="${name}"><button${inUse ? html` disabled` : html``}>Delete</button></form></td></tr>
`;
}

export function downloadRow(download: Download): Markup {
  const { id, snapshotName, format, sentBytes, totalBytes, finished, aborted } = download;
  const state = finished === undefined ? "running" : finished.success ? "success" : aborted ? "aborted" : "error";
  const share = totalBytes === undefined || totalBytes === 0 ? undefined : sentBytes / totalBytes;
  const bar = share === undefined ? html`` : html`<progress max="1" value="${share.toFixed(3)}"></progress> `;
  return html`<tr><td><a href="./api/download_status?id=${id}">${id}</a></td><td>${snapshotName}</td><td>${format}</td>
<td class="${state}" title="${finished?.errorText ?? ""}">${state}</td><td>${state === "running" ? bar : html``}${sizeText(sentBytes)}</td></tr>
`;
}

/** What pruning would do, and the button that does it. */
export function prunePage(report: PruneReport, rules: Readonly<Record<string, string>>): string {
  const { removed, skipped } = report;
  const reasons = (reason: string) => reason.replaceAll("_", " ");
  return document(
    "Prune snapshots",
    html`<h1>Prune snapshots</h1>
<p>${removed.length === 0 ? "Nothing would be removed." : `${removed.length} would be removed:`}</p>
<ul id="removed">${removed.map((name) => html`<li><code>${name}</code></li>`)}</ul>
${skipped.length === 0 ? html`` : html`<p>These stay although no rule keeps them:</p><ul>${skipped.map(({ name, reason }) => html`<li><code>${name}</code>: ${reasons(reason)}</li>`)}</ul>`}
<form method="post" action="./prune">${Object.entries(rules).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<button${removed.length === 0 ? html` disabled` : html``}>Remove them</button> <a href="./">Back</a></form>`,
  );
}

export function deletePage(name: string): string {
  return document(
    "Delete a snapshot",
    html`<h1>Delete a snapshot</h1><p>Delete <code>${name}</code>? It cannot be had back.</p>
<form method="post" action="./delete"><input type="hidden" name="name" value="${name}"><button>Delete it</button> <a href="./">Back</a></form>`,
  );
}

function document(title: string, body: Markup): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>${style}</style></head><body>
${body.text}
</body></html>
`;
}

/** For the `style-src` of the page's policy, which allows no other. */
export const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:1rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884}
td.n{text-align:right;white-space:nowrap}td form{display:inline}code{font-size:.9em}fieldset{border:0;padding:0}
.right,.success{color:#17803d}.damaged,.error,.incomplete{color:#c02626}.notice{padding:.5rem 1rem;border-left:4px solid #2563eb}`;

export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Keeps the downloads fresh. Plain, for it is sent as it stands. */
export const script = `const rows = document.getElementById("downloads");
async function refresh() {
  try {
    const answer = await fetch("./downloads", { headers: { Accept: "text/html" } });
    if (answer.ok) rows.innerHTML = await answer.text();
  } finally {
    setTimeout(refresh, document.hidden ? 10000 : 1000);
  }
}
setTimeout(refresh, 1000);
`;
