/** Debian's Chromium, without a window and without anything of the user's. */
import { type BrowserContext, chromium } from "playwright-core";
import { createFolder } from "./folders.ts";

export interface TestBrowser extends AsyncDisposable {
  readonly context: BrowserContext;
}

export async function startBrowser(options: { javaScriptEnabled?: boolean } = {}): Promise<TestBrowser> {
  const profile = await createFolder("holdfast-chromium");
  const context = await chromium.launchPersistentContext(profile.path, {
    executablePath: Bun.which("chromium") ?? "/usr/bin/chromium",
    headless: true,
    acceptDownloads: true,
    ...options,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    context,
    async [Symbol.asyncDispose]() {
      await context.close();
      await profile[Symbol.asyncDispose]();
    },
  };
}
