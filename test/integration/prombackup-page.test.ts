import { expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { startBrowser } from "../harness/browser.ts";
import { describeWith } from "../harness/describe-with.ts";
import { skipHeadName, skipHeadTar, snapshotFolderFixture, withHeadName } from "../harness/snapshot-fixture.ts";
import { prometheusAnswering, startSnapshotServer } from "../harness/snapshot-server.ts";

test("the page is markup that no name can break, with a policy that lets no other script in", async () => {
  await using server = await startSnapshotServer();
  const answer = await server.fetch("/?notice=%3Cscript%3Ealert(1)%3C/script%3E");
  expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
  const text = await answer.text();
  expect(text).toContain("<title>Prometheus backup</title>");
  expect(text).toContain("(none)");
  expect(text).not.toContain("alert(1)");
  expect(await server.text("/?notice=Taken: <b>")).toContain("Taken: &lt;b&gt;");
});

describeWith(["chromium"], "in a browser", () => {
  async function start() {
    const fixture = await snapshotFolderFixture();
    const body = JSON.stringify({ status: "success", data: { name: skipHeadName } });
    const prometheus = prometheusAnswering(() => ({ body }));
    const server = await startSnapshotServer({ folder: fixture.path, prometheus: prometheus.url });
    return {
      server,
      folder: fixture.path,
      prometheus,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await prometheus[Symbol.asyncDispose]();
        await fixture[Symbol.asyncDispose]();
      },
    };
  }

  test.each([true, false])(
    "take and download, verify, preview and prune, delete; with JavaScript: %p",
    async (javaScriptEnabled) => {
      await using site = await start();
      await using browser = await startBrowser({ javaScriptEnabled });
      const page = await browser.context.newPage();
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await page.goto(`${site.server.url}/`);
      expect(await page.title()).toBe("Prometheus backup");
      expect(await page.locator("#snapshots tbody tr").count()).toBe(2);

      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: "Take and download snapshot" }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`${skipHeadName}.tar`);
      expect((await readFile(await download.path())).equals(await readFile(skipHeadTar))).toBe(true);

      const row = page.locator(`tr[data-name="${skipHeadName}"]`);
      await row.getByRole("button", { name: "Verify" }).click();
      await page.getByText(`Verified: ${skipHeadName} is right`).waitFor();
      expect(await row.locator("td.right").innerText()).toBe("right");

      await page.getByLabel("Keep those younger than").fill("0");
      await page.getByLabel("and the newest").fill("0");
      await page.getByRole("button", { name: "Show what would be removed" }).click();
      await page.getByText("last verified").waitFor();
      expect(await page.locator("#removed li").allInnerTexts()).toEqual([withHeadName]);
      expect(await page.getByText("last verified").count()).toBe(1);
      expect((await readdir(site.folder)).sort()).toEqual([withHeadName, skipHeadName].sort());
      await page.getByRole("button", { name: "Remove them" }).click();
      await page.getByText("Pruned: 1 removed").waitFor();
      expect(await readdir(site.folder)).toEqual([skipHeadName]);

      await row.getByRole("button", { name: "Delete" }).click();
      await page.getByRole("button", { name: "Delete it" }).click();
      await page.getByText(`Deleted: ${skipHeadName}`).waitFor();
      expect(await readdir(site.folder)).toEqual([]);
      await page.getByRole("button", { name: "Take snapshot", exact: true }).click();
      await page.getByText("Not taken: Creating snapshot failed").waitFor();
      expect(errors).toEqual([]);
    },
  );

  test("downloads show up while the page is open", async () => {
    await using site = await start();
    await using browser = await startBrowser();
    const page = await browser.context.newPage();
    await page.goto(`${site.server.url}/`);
    await (await site.server.fetch(`/api/download?name=${skipHeadName}&format=tzst`)).bytes();
    await page.locator("#downloads td.success").waitFor();
    expect(await page.locator("#downloads tr td").nth(1).innerText()).toBe(skipHeadName);
  });

  test("a page of another site cannot make a browser prune", async () => {
    await using site = await start();
    await using browser = await startBrowser();
    const action = `${site.server.url}/api/prune`;
    using foreign = Bun.serve({
      hostname: "localhost",
      port: 0,
      fetch: () =>
        new Response(`<form method="post" action="${action}"><button>Win</button></form>`, {
          headers: { "Content-Type": "text/html" },
        }),
    });
    const page = await browser.context.newPage();
    await page.goto(`http://localhost:${foreign.port}/`);
    const [answer] = await Promise.all([
      page.waitForResponse(action),
      page.getByRole("button", { name: "Win" }).click(),
    ]);
    expect(answer.status()).toBe(403);
    expect(await readdir(site.folder)).toHaveLength(2);
  });
});
