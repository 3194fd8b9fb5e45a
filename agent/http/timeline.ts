/** The top of the status page: for each cluster and source from when to when it can be restored, drawn and in words. */
import { html, raw } from "hono/html";
import type { RestorableReason } from "../sdk/restorable.ts";
import type { RestorableRow } from "../system/status.ts";
import { iso } from "./status-json.ts";
import { type TimeScale, timeScale } from "./time-scale.ts";
import { count, relative, span } from "./words.ts";

type Html = ReturnType<typeof html>;

/** Beyond this the page is no overview. */
const mostRows = 100;
/** A bar that is shorter could not be seen, percent. */
const leastWidth = 0.6;

const reasonWords: Readonly<Record<RestorableReason, string>> = {
  no_backup: "no backup",
  wal_gap: "WAL gap",
  damaged: "damaged",
  unverified: "unverified",
  archive_unreachable: "archive unreachable",
  collect_failed: "collection failed",
  stale: "stale",
  unknown: "not known",
};

type Looks = "ok" | "bad" | "wal";

const looksOf = ({ walOnly, reason }: RestorableRow): Looks => (reason !== undefined ? "bad" : walOnly ? "wal" : "ok");

/** Nothing where no instance tells of anything that could be restored. @param now Unix milliseconds. */
export function timeline(rows: readonly RestorableRow[], now: number): Html | "" {
  if (rows.length === 0) return "";
  const order = (row: RestorableRow) => (looksOf(row) === "bad" ? 0 : 1);
  const sorted = [...rows].sort((one, other) => order(one) - order(other));
  const shown = sorted.slice(0, mostRows);
  const moments = shown.flatMap(({ from, to }) => [from, to]).filter((at) => at !== undefined);
  const scale = timeScale(moments, now / 1000);
  const left = sorted.length - shown.length;
  return html`<section aria-labelledby="restorable">
<h2 id="restorable">Can I restore, and to when?</h2>
<p class="answer">${answer(rows, now)}</p>
<table class="timeline">
<caption>What can be restored, from when to when</caption>
<thead><tr>
<th scope="col">Cluster</th><th scope="col" class="line"><span class="hidden">Timeline</span>${axis(scale)}</th>
<th scope="col">Restorable</th><th scope="col">From</th><th scope="col">To</th>
</tr></thead>
${shown.map((row) => rowOf(row, scale, now))}
</table>
${left === 0 ? "" : html`<p class="soft">${left.toLocaleString("en")} more: see <code>holdfast_restorable</code> in the metrics.</p>`}
</section>`;
}

/** In one sentence. */
function answer(rows: readonly RestorableRow[], now: number): string {
  const claims = rows.filter(({ walOnly }) => !walOnly);
  if (claims.length === 0) return "WAL is there; no base backup is known here.";
  const good = claims.filter(({ reason }) => reason === undefined);
  const ends = good.flatMap(({ to }) => (to !== undefined && Number.isFinite(to) ? [to] : []));
  const all = claims.length === 1 ? "It" : `All ${claims.length}`;
  // One cluster that two sources tell of is not two.
  const areClusters = new Set(claims.map(({ cluster }) => cluster)).size === claims.length;
  const claimed = areClusters ? count(claims.length, "cluster", "clusters") : claims.length.toLocaleString("en");
  const which =
    good.length === claims.length
      ? `Yes. ${all} can be restored`
      : `${good.length === 0 ? "No" : "Not all"}. ${good.length} of ${claimed} can be restored`;
  if (ends.length === 0 || ends.length < good.length) return `${which}.`;
  const behind = Math.max(0, now / 1000 - ends.reduce((a, b) => Math.min(a, b)));
  return `${which}, ${good.length === 1 ? "to" : "each at least to"} ${behind < 1 ? "now" : `${span(behind)} ago`}.`;
}

function rowOf(row: RestorableRow, scale: TimeScale, now: number): Html {
  const { cluster, source, from, to, detail } = row;
  const name = cluster === "" ? html`<span class="hidden">not known</span><span aria-hidden="true">–</span>` : cluster;
  // Only where there is a second row may a cell reach into it.
  const rowspan = detail === undefined ? "" : raw(' rowspan="2"');
  return html`<tbody class="${looksOf(row)}">
<tr>
<th scope="row"${rowspan}>${name}<span>${source}</span></th>
<td class="line"${rowspan}>${picture(row, scale)}</td>
<td data-label="Restorable">${pill(row)}</td>
<td data-label="From" class="when">${when(from, now)}</td>
<td data-label="To" class="when">${when(to, now)}</td>
</tr>
${detail === undefined ? "" : html`<tr class="more detail"><td colspan="3"><div>${detail}</div></td></tr>`}
</tbody>`;
}

/** A word, and a glyph that the colour only repeats. */
function pill(row: RestorableRow): Html {
  const { reason } = row;
  if (reason !== undefined) return pillOf("failing", "▲", reasonWords[reason]);
  return row.walOnly ? pillOf("stopping", "◌", "WAL only") : pillOf("running", "●", "yes");
}

function pillOf(looks: string, glyph: string, word: string): Html {
  return html`<span class="state ${looks}"><span aria-hidden="true">${glyph}</span> ${word}</span>`;
}

function when(seconds: number | undefined, now: number): Html | string {
  const text = iso(seconds === undefined ? undefined : seconds * 1000);
  if (seconds === undefined || text === null) return "–";
  const minute = text.slice(0, 16).replace("T", " ");
  return html`<time datetime="${text}" title="${text}">${relative(seconds * 1000, now)}<span>${minute}</span></time>`;
}

/** Numbers of attributes: finite, three places. */
const percent = (value: number): string => `${Math.round(value * 1000) / 1000}%`;

/** The bar from the first to the last moment, what is open between there and now, and now. */
function picture(row: RestorableRow, scale: TimeScale): Html {
  const looks = looksOf(row);
  const bar = barOf(row, scale);
  const tailFrom = bar === undefined ? 0 : bar.x + bar.width;
  const tail = scale.now > tailFrom;
  return html`<svg role="img" class="row ${looks}"><title>${spoken(row)}</title>${grid(scale)}
<svg y="50%">${tail ? raw(`<line class="tail" x1="${percent(tailFrom)}" x2="${percent(scale.now)}"/>`) : ""}
${bar === undefined ? "" : raw(`<rect class="bar" x="${percent(bar.x)}" width="${percent(bar.width)}" y="-10" height="20" rx="3"/>`)}
</svg>${nowLine(scale)}</svg>`;
}

function barOf({ from, to }: RestorableRow, scale: TimeScale): { x: number; width: number } | undefined {
  if (from === undefined && to === undefined) return undefined;
  const x = from === undefined ? 0 : scale.position(from);
  const end = to === undefined ? x : scale.position(to);
  const width = Math.min(100, Math.max(leastWidth, end - x));
  return { x: Math.min(x, 100 - width), width };
}

/** What the picture shows, for those who do not see it. */
function spoken({ cluster, source, from, to, reason, walOnly }: RestorableRow): string {
  const moment = (seconds: number | undefined) =>
    iso(seconds === undefined ? undefined : seconds * 1000)
      ?.slice(0, 16)
      .replace("T", " ") ?? "not known";
  const what = reason !== undefined ? `not restorable, ${reasonWords[reason]}` : walOnly ? "WAL only" : "restorable";
  return `${cluster || "not known"} by ${source}: ${what}; from ${moment(from)} to ${moment(to)} UTC`;
}

const grid = ({ ticks }: TimeScale): Html =>
  html`${raw(ticks.map(({ at }) => `<line class="grid" x1="${percent(at)}" x2="${percent(at)}" y1="0" y2="100%"/>`).join(""))}`;

const nowLine = ({ now }: TimeScale): Html =>
  html`${raw(`<line class="now" x1="${percent(now)}" x2="${percent(now)}" y1="0" y2="100%"/>`)}`;

function axis(scale: TimeScale): Html {
  const label = (at: number, text: string, looks: string) =>
    html`<text class="${looks}" x="${percent(at)}" y="50%">${text}</text>`;
  return html`<svg class="axis" aria-hidden="true">${scale.ticks.map(({ at, label: text }) => label(at, text, "tick"))}${label(scale.now, "now", "present")}</svg>`;
}
