/** The status page at `/`: for people, without scripts or anything from elsewhere. */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import { parseAddress } from "../sdk/index.ts";
import type { AgentStatus, InstanceState, InstanceStatus } from "../system/status.ts";
import { iso } from "./status-json.ts";
import { style } from "./status-style.ts";
import { timeline } from "./timeline.ts";
import { count, relative, span, took } from "./words.ts";

type Html = ReturnType<typeof html>;

/** Headers of the page. Its own style is the only thing that it may use. */
export const pageHeaders = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": [
    "default-src 'none'",
    `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "deny",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
} as const;

export interface PageContext {
  /** Unix milliseconds. */
  readonly now: number;
  /** The host by which the reader came here: where an instance's own port is, too. */
  readonly hostname: string;
  readonly notices: readonly string[];
}

/** A glyph and a word: the colour only repeats them. */
const glyphs: Readonly<Record<InstanceState, string>> = {
  running: "●",
  failing: "▲",
  starting: "◌",
  restarting: "↻",
  stopping: "■",
};

/** The whole page; every text from outside is escaped. Links are relative, for proxies that add a prefix. */
export function statusPage(status: AgentStatus, context: PageContext): string {
  const { instances, lastReload } = status;
  const title = [...troubles(instances), "holdfast"].join(" · ");
  const notices = [
    ...(lastReload.successful ? [] : [failedReload(status, context.now)]),
    ...context.notices.map((text) => html`<p class="notice" role="status">${text}</p>`),
  ];
  return String(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${raw(style)}</style>
</head>
<body>
<header>
<h1>holdfast</h1>
<span class="soft">${status.version}</span>
<span class="soft">up ${span((context.now - status.startedAt) / 1000)}</span>
${status.ready ? "" : html`<span class="state starting">◌ not ready</span>`}
<p class="summary">${summary(instances)}</p>
</header>
<main>
${notices}
${timeline(
  instances.flatMap(({ restorable }) => restorable),
  context.now,
)}
<h2>Instances</h2>
${instances.length === 0 ? html`<p class="empty">No instance is configured: add one under <code>plugins:</code> in <code>${status.configFile}</code>.</p>` : table(instances, context)}
</main>
<footer>
<a href="metrics">Metrics</a>
<a href="api/v1/status">Status as JSON</a>
<a href="-/healthy">Health</a>
<a href="-/ready">Readiness</a>
<span class="soft">As of ${moment(context.now)}. Started ${moment(status.startedAt)}, configuration <code>${status.configFile}</code> last read ${when(lastReload.at, context.now)}. Revision <code>${status.revision}</code>, Bun ${status.bunVersion}.</span>
</footer>
</body>
</html>
`);
}

function failedReload({ lastReload }: AgentStatus, now: number): Html {
  return html`<p class="notice" role="status"><b>The last reload failed</b> ${when(lastReload.at, now)}; the configuration before it still runs.
${lastReload.message ?? ""}</p>`;
}

const order: readonly InstanceState[] = ["failing", "restarting", "starting", "running", "stopping"];

function summary(instances: readonly InstanceStatus[]): string {
  const parts = order.flatMap((state) => {
    const number = instances.filter((instance) => instance.state === state).length;
    return number === 0 ? [] : [`${number} ${state}`];
  });
  const series = instances.reduce((sum, instance) => sum + instance.series, 0).toLocaleString("en");
  const troubled = instances.filter(({ problem }) => problem !== undefined).length;
  const problems = troubled === 0 ? [] : [`${troubled} with a problem`];
  return [count(instances.length, "instance", "instances"), ...parts, ...problems, `${series} series`].join(" · ");
}

/** For the title, which a tab shows: what somebody should look at. */
function troubles(instances: readonly InstanceStatus[]): string[] {
  const failing = instances.filter(({ state }) => state === "failing").length;
  const problems = instances.filter(({ state, problem }) => state !== "failing" && problem !== undefined).length;
  const lost = instances.flatMap(({ restorable }) => restorable).filter(({ reason }) => reason !== undefined).length;
  return [
    ...(lost > 0 ? [`${lost} not restorable`] : []),
    ...(failing > 0 ? [`${failing} failing`] : []),
    ...(problems > 0 ? [count(problems, "problem", "problems")] : []),
  ];
}

function table(instances: readonly InstanceStatus[], context: PageContext): Html {
  return html`<table>
<caption>Instances, their state and their last collection</caption>
<thead><tr>
<th scope="col">Instance</th><th scope="col">State</th><th scope="col">Last success</th><th scope="col" class="number">Took</th>
<th scope="col">Next run</th><th scope="col" class="number">Series</th><th scope="col" class="number">Restarts</th><th scope="col">Links</th>
</tr></thead>
${instances.map((instance) => rows(instance, context))}
</table>`;
}

function rows(instance: InstanceStatus, context: PageContext): Html {
  const { name, plugin, version, lastSuccessAt, lastDurationSeconds, nextRunAt } = instance;
  const about = [plugin, version, instance.source === "built-in" ? undefined : instance.source];
  const next = instance.collecting ? "now" : nextRunAt === undefined ? "–" : when(nextRunAt, context.now);
  return html`<tbody>
<tr>
<th scope="row">${name}<span>${about.filter((part) => part !== undefined).join(" · ")}</span></th>
<td data-label="State">${pill(instance)}</td>
<td data-label="Last success" class="when">${lastSuccess(instance, lastSuccessAt, context.now)}</td>
<td data-label="Took" class="number">${lastDurationSeconds === undefined ? "–" : took(lastDurationSeconds)}</td>
<td data-label="Next run" class="when">${next}</td>
<td data-label="Series" class="number">${instance.series.toLocaleString("en")}</td>
<td data-label="Restarts" class="number">${instance.restarts.toLocaleString("en")}</td>
<td data-label="Links" class="links"><span>${links(instance, context.hostname)}</span></td>
</tr>
${facts(instance)}
${problem(instance)}
${lastError(instance, context.now)}
</tbody>`;
}

/** An instance that runs and tells of a problem is no green one. */
function pill({ state, problem }: InstanceStatus): Html {
  if (state === "running" && problem !== undefined) return pillOf("failing", "problem");
  return pillOf(state, state);
}

function pillOf(looks: InstanceState, word: string): Html {
  return html`<span class="state ${looks}"><span aria-hidden="true">${glyphs[looks]}</span> ${word}</span>`;
}

function facts({ facts }: InstanceStatus): Html | string {
  const entries = Object.entries(facts);
  if (entries.length === 0) return "";
  return html`<tr class="more facts"><td colspan="8"><dl>${entries.map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl></td></tr>`;
}

function problem({ problem }: InstanceStatus): Html | string {
  if (problem === undefined) return "";
  return html`<tr class="more error"><td colspan="8"><div>Problem
<code>${problem}</code></div></td></tr>`;
}

function lastSuccess({ intervalSeconds }: InstanceStatus, at: number | undefined, now: number): Html | string {
  if (at !== undefined) return when(at, now);
  return intervalSeconds === undefined ? "–" : "never";
}

function lastError({ lastError, lastSuccessAt, state }: InstanceStatus, now: number): Html | string {
  if (!lastError) return "";
  const isPast = state === "running" && (lastSuccessAt ?? lastError.at) >= lastError.at;
  return html`<tr class="more error ${isPast ? "past" : ""}"><td colspan="8"><div>${isPast ? "Recovered; the last error was" : "Error"} ${when(lastError.at, now)} (${lastError.reason})
<code>${lastError.message}</code></div></td></tr>`;
}

function links({ name, hasRoutes, listen, metricsPath = "/metrics" }: InstanceStatus, hostname: string): Html[] {
  const port = listen === undefined ? undefined : parseAddress(listen)?.port;
  return [
    html`<a href="metrics?collect%5B%5D=${encodeURIComponent(name)}" aria-label="Metrics of ${name}">metrics</a>`,
    ...(hasRoutes ? [html`<a href="${encodeURIComponent(name)}/" aria-label="Pages of ${name}">pages</a>`] : []),
    ...(port
      ? [html`<a href="//${hostname}:${port}${metricsPath}" aria-label="Port of ${name}">port ${port}</a>`]
      : []),
  ];
}

function when(unixMs: number, now: number): Html | string {
  const text = iso(unixMs);
  if (text === null) return "–";
  return html`<time datetime="${text}" title="${text}">${relative(unixMs, now)}</time>`;
}

function moment(unixMs: number): Html | string {
  const text = iso(unixMs);
  return text === null ? "–" : html`<time datetime="${text}">${text.slice(0, 19).replace("T", " ")} UTC</time>`;
}
