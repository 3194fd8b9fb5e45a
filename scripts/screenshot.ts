/** docs/status-page.png: the status page as Chromium shows it. `--dark`, `--narrow` and a file's name for looks at others. */
import { statusPage } from "../agent/http/status-page.ts";
import { startBrowser } from "../test/harness/browser.ts";
import { now, shownStatus } from "./lib/shown-status.ts";

const options = process.argv.slice(2);
const path = options.find((option) => !option.startsWith("--")) ?? "docs/status-page.png";
const width = options.includes("--narrow") ? 390 : 1180;
const mostBytes = 200_000;

await using browser = await startBrowser({ javaScriptEnabled: false });
const page = await browser.context.newPage();
await page.setViewportSize({ width, height: 600 });
await page.emulateMedia({ colorScheme: options.includes("--dark") ? "dark" : "light" });
await page.setContent(statusPage(shownStatus, { now, hostname: "backup.example", notices: [] }));
await page.screenshot({ path, fullPage: true });

const { size } = Bun.file(path);
process.stdout.write(`${path}  ${Math.ceil(size / 1024)} KiB\n`);
if (size > mostBytes) throw new Error(`${path} has ${size} bytes: expected at most ${mostBytes}`);
