/** A newcomer's way: the pages' own blocks, in their order, as an ordinary user, from nothing to a server that is back. */
import { expect, test } from "bun:test";
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { agentExecutable } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { docBlocks, readDoc, startDocShell } from "../harness/doc-blocks.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { giveTo, serverUser } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";

/** A folder for an ordinary user, with `holdfast` in its `bin`. */
async function createPlace(cleanup: AsyncDisposableStack) {
  const user = serverUser("postgres");
  const { path } = cleanup.use(await createFolder("holdfast-docs", user));
  const bin = join(path, "bin");
  await mkdir(bin);
  await copyFile(agentExecutable, join(bin, "holdfast"));
  await chmod(join(bin, "holdfast"), 0o755);
  return { user, path, bin };
}

describeWith(["postgresql", "dist/holdfast"], "docs/quick-start.md", () => {
  test("leads from nothing to a server that was destroyed and is back", async () => {
    await using cleanup = new AsyncDisposableStack();
    const { user, path, bin } = await createPlace(cleanup);
    const shell = cleanup.use(startDocShell(user, path, [bin]));
    const [postgres, http] = [await freePort(), await freePort()];
    const here = (text: string) =>
      text
        .replaceAll("/tmp/holdfast-drill", join(path, "drill"))
        .replaceAll(/\b5433\b/g, String(postgres))
        .replaceAll(/\b9847\b/g, String(http));
    // Whatever happens, the server must not outlive the test.
    cleanup.defer(() => shell.run(`! pg_ctl --pgdata=${path}/drill/main --mode=immediate stop`).catch(() => {}));

    const [drill = ""] = (await readDoc("docs/quick-start.md")).split("\n## For real");
    let lastLine = "";
    let ran = 0;
    for (const { language, info, text } of docBlocks(drill)) {
      const block = here(text).trimEnd();
      if (info !== "") {
        await writeFile(join(path, "drill", info), `${block}\n`);
        await giveTo(user, join(path, "drill", info));
      } else if (block.startsWith("holdfast run")) {
        const agent = shell.background(block);
        const isReady = async () => (await fetch(`http://127.0.0.1:${http}/-/ready`)).ok;
        await waitFor("the agent", isReady).catch((cause) => {
          throw new Error(agent.log(), { cause });
        });
      } else if (language === "sh") {
        await shell.run(block);
        lastLine = block.split("\n").at(-1) ?? "";
        ran++;
      } else if (language === "text") {
        await waitFor(
          `the output of ${lastLine}`,
          async () => {
            expect(await shell.run(lastLine)).toBe(`${block}\n`);
            return true;
          },
          60_000,
        );
      }
    }
    expect(ran).toBeGreaterThanOrEqual(14);
  }, 180_000);
});
