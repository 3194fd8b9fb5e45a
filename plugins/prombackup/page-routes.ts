/** The page's own paths: what it shows, and what its forms do. Each action ends on the page, with a word about how it went. */
import { existingName, type Route, readKeep } from "./api-routes.ts";
import { deletePage, downloadRow, mainPage, prunePage, script, style } from "./page-html.ts";
import { Parameters } from "./parameters.ts";
import type { Server } from "./server.ts";
import { SnapshotError } from "./server.ts";
import { reasonOf } from "./snapshot-entries.ts";

const page = (
  answer: (server: Server, parameters: Parameters, request: Request) => Promise<Response> | Response,
): Route => ({
  methods: ["GET", "HEAD"],
  answer: (server, request) => answer(server, Parameters.ofQuery(new URL(request.url).search), request),
});
const action = (answer: (server: Server, parameters: Parameters) => Promise<string>): Route => ({
  methods: ["POST"],
  async answer(server, request) {
    const notice = await answer(server, await Parameters.ofPost(request));
    return new Response(null, { status: 303, headers: { Location: `./?${new URLSearchParams({ notice })}` } });
  },
});

export const pageRoutes: Readonly<Record<string, Route>> = {
  "/": page(async (server, parameters, request) => {
    const prefix = request.headers.get("x-forwarded-prefix");
    const metricsPath = prefix ? `../metrics?collect[]=${encodeURIComponent(server.deps.instance)}` : "./metrics";
    const content = { snapshots: await server.list(), downloads: server.downloads.all(), now: server.deps.now() };
    // Only the words of our own actions: a link of somebody else must not put others on this page.
    const notice = notices.has(parameters.text("notice").split(":", 1)[0] ?? "")
      ? parameters.text("notice").slice(0, 500)
      : "";
    return document(mainPage({ ...content, metricsPath, notice }));
  }),
  "/page.js": page(
    () => new Response(script, { headers: { ...headers, "Content-Type": "text/javascript; charset=utf-8" } }),
  ),
  "/downloads": page((server) => {
    const rows = server.downloads.all().map((one) => downloadRow(one).text);
    return document(rows.length === 0 ? '<tr><td colspan="5">(none)</td></tr>' : rows.join(""));
  }),
  "/prune": {
    methods: ["GET", "POST"],
    async answer(server, request) {
      const isPost = request.method === "POST";
      const parameters = isPost ? await Parameters.ofPost(request) : Parameters.ofQuery(new URL(request.url).search);
      const report = await server.prune({ keep: readKeep(parameters), dryRun: !isPost }, "api");
      if (isPost) {
        const failed = report.failed.length === 0 ? "" : `, ${report.failed.length} could not be removed: see the log`;
        return done(`Pruned: ${report.removed.length} removed${failed}`);
      }
      const names = ["keep_within", "keep_last", "keep_daily", "keep_weekly", "keep_monthly"];
      const rules = Object.fromEntries(
        names.map((name) => [name, parameters.text(name)]).filter(([, value]) => value !== ""),
      );
      return document(prunePage(report, rules));
    },
  },
  "/delete": {
    methods: ["GET", "POST"],
    async answer(server, request) {
      if (request.method === "GET") {
        return document(deletePage(existingName(Parameters.ofQuery(new URL(request.url).search))));
      }
      const name = existingName(await Parameters.ofPost(request));
      const outcome = await server.remove(name).catch((error: unknown) => reasonOf(error));
      return done(outcome === "removed" ? `Deleted: ${name}` : `Not deleted: ${name}: ${outcome.replaceAll("_", " ")}`);
    },
  },
  "/take": action(async (server, parameters) => {
    try {
      return `Taken: ${await server.takeSnapshot(parameters.boolean("skip_head"), "api")}`;
    } catch (error) {
      if (error instanceof SnapshotError) return `Not taken: ${error.message}`;
      throw error;
    }
  }),
  "/verify": action(async (server, parameters) => {
    const name = existingName(parameters);
    const verified = await server.verifications.verify(name, server.deps.signal);
    if (!verified) return `Not verified: ${name} is gone`;
    const [first] = verified.report.problems;
    if (first) return `Verified: ${name} is damaged: ${first.file}: ${first.check}: ${first.found}`;
    return `Verified: ${name} is right${verified.ok ? "" : ", and empty"}`;
  }),
};

const notices: ReadonlySet<string> = new Set([
  "Pruned",
  "Deleted",
  "Not deleted",
  "Taken",
  "Not taken",
  "Verified",
  "Not verified",
]);

const styleHash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
const headers = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": `default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'sha256-${styleHash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "same-origin",
  "Cache-Control": "no-store",
};

const document = (text: string) => new Response(text, { headers });

function done(notice: string): Response {
  return new Response(null, { status: 303, headers: { Location: `./?${new URLSearchParams({ notice })}` } });
}
