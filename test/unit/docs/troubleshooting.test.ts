/** Whatever can go wrong by name has its entry in docs/troubleshooting.md, and no entry is of what is gone. */
import { expect, test } from "bun:test";
import { command as restoreCommand } from "../../../agent/commands/restore-command.ts";
import { failureReasons as collectReasons } from "../../../agent/metrics/own.ts";
import { restorableReasons } from "../../../agent/sdk/restorable.ts";
import { failureReasons as archiveReasons } from "../../../plugins/common/wal-archive/errors.ts";
import { disconnectReasons, gapReasons, states } from "../../../plugins/pgrwl/receiver/telemetry.ts";
import type { SkipReason } from "../../../plugins/prombackup/retention.ts";
import { alerts } from "../../harness/alert-rules.ts";
import { readDoc } from "../../harness/doc-blocks.ts";
import { markdownAnchors } from "../../harness/markdown-links.ts";

const page = await readDoc("docs/troubleshooting.md");

/** The compiler complains when a reason is added. */
const skipReasons = { in_use: 0, being_written: 0, last_verified: 0, newest: 0 } satisfies Record<SkipReason, 0>;
const restoreStatuses = ["0", "1", ...new Set(restoreCommand.details?.match(/\b20\d\b/g))];

test.each([
  ["restorable", restorableReasons],
  ["collect", collectReasons],
  ["disconnect", disconnectReasons],
  ["gap", gapReasons],
  ["state", states],
  ["archive", archiveReasons],
  ["prune", Object.keys(skipReasons)],
  ["restore", restoreStatuses],
  ["check", ["directory", "server", "archive"]],
])("each reason of %s has an entry, in the code's order", (prefix, reasons) => {
  const entries = [...page.matchAll(new RegExp(`<a id="${prefix}-([a-z0-9-]+)"></a>\`?(\\w+)`, "g"))];
  expect(entries.map(([, , name]) => name)).toEqual([...reasons]);
  expect(entries.map(([, anchor]) => anchor)).toEqual(reasons.map((reason) => reason.replaceAll("_", "-")));
});

test("each alert's page is a heading", () => {
  const anchors = markdownAnchors(page);
  const wanted = alerts.map(({ annotations }) => annotations.runbook.replace("docs/troubleshooting.md#", ""));
  expect([...new Set(wanted)].filter((anchor) => !anchors.has(anchor))).toEqual([]);
});

/** The beginnings of the messages in the code, to where a name or number is put in. */
async function messagesInCode(): Promise<Set<string>> {
  const found = new Set<string>();
  const root = new URL("../../../", import.meta.url).pathname;
  for await (const path of new Bun.Glob("{agent,plugins}/**/*.ts").scan(root)) {
    const text = await Bun.file(root + path).text();
    // One that begins with a name has no beginning to look for: `Cannot ${what}`.
    for (const [, message = ""] of text.matchAll(/["'`](Cannot [^$"'`…]{3,}?)(?:\\n)*(?=["'`]|\$\{)/g))
      found.add(message);
  }
  return found;
}

/** Those of the page, to the `…`. One that names only what was tried, such as `Cannot read …`, is for no longer one. */
const documented = [...(page.split("\n## Messages\n")[1]?.matchAll(/`(Cannot [^`]*)`/g) ?? [])].map(
  ([, message = ""]) => message.split("…")[0] ?? "",
);
const isGeneric = (message: string) => !message.includes(":") && message.trim().split(" ").length < 3;
const covers = (entry: string, message: string) =>
  isGeneric(entry) ? entry.trim() === message.trim() : message.startsWith(entry.trim());

test("each message of the code has an entry", async () => {
  const messages = await messagesInCode();
  expect(messages.size).toBeGreaterThan(100);
  expect([...messages].filter((message) => !documented.some((entry) => covers(entry, message))).sort()).toEqual([]);
});

test("no entry is of a message that the code does not have, and none stands twice", async () => {
  const messages = [...(await messagesInCode())];
  expect(documented.filter((entry) => !messages.some((message) => covers(entry, message)))).toEqual([]);
  expect(documented.filter((entry, index) => documented.indexOf(entry) !== index)).toEqual([]);
});
