/** The tutorial of docs/plugins.md, done as it is written, with the compiled executable and nothing else of the project. */
import { expect, test } from "bun:test";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { agentExecutable } from "../harness/agent.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { waitFor } from "../harness/wait.ts";

const repository = new URL("../..", import.meta.url).pathname;

/** A fenced block: `sh` is run, one with a file's name is written, `text` is what the block before prints. */
interface Block {
  readonly language: string;
  readonly file: string | undefined;
  readonly text: string;
}

async function tutorial(): Promise<Block[]> {
  const page = await Bun.file(join(repository, "docs/plugins.md")).text();
  const section = /^## From nothing to a scraped plugin$(.*?)^## /ms.exec(page)?.[1] ?? "";
  return [...section.matchAll(/^```(\w+) ?(\S*)\n(.*?)^```$/gms)].map(([, language = "", file, text = ""]) => ({
    language,
    file: file || undefined,
    text,
  }));
}

/** A newcomer's machine: a folder, and a PATH with the executable and the system's own commands. */
async function createWorkplace() {
  const folder = await createFolder("holdfast-author");
  const bin = join(folder.path, "bin");
  await mkdir(bin);
  await symlink(agentExecutable, join(bin, "holdfast"));
  if (!Bun.which("curl")) await writeCurl(bin);
  const env = { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`, HOME: folder.path };
  const start = (command: readonly string[]) =>
    Bun.spawn([...command], { cwd: folder.path, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  return {
    path: folder.path,
    start,
    /** Runs lines of a shell. @throws {Error} One of them failed. */
    async run(script: string): Promise<string> {
      const child = start(["sh", "-euc", script]);
      const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      if (status !== 0) throw new Error(`${script}: exit status ${status}\n${stdout}${stderr}`);
      return stdout;
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Stands in for curl as the tutorial calls it. */
async function writeCurl(bin: string): Promise<void> {
  const script =
    "const a = process.argv; const r = await fetch(a.at(-1), { method: a.includes('POST') ? 'POST' : 'GET' }); process.stdout.write(await r.text())";
  await Bun.write(join(bin, "curl"), `#!/bin/sh\nBUN_BE_BUN=1 exec holdfast -e "${script}" -- "$@"\n`);
  await chmod(join(bin, "curl"), 0o755);
}

test("docs/plugins.md leads from nothing to a scraped plugin", async () => {
  await using place = await createWorkplace();
  await using cleanup = new AsyncDisposableStack();
  const address = `127.0.0.1:${await freePort()}`;
  const here = (text: string) =>
    text.replaceAll("127.0.0.1:9847", address).replaceAll("/tmp/spool", join(place.path, "spool"));

  let lastLine = "";
  let ran = 0;
  for (const { language, file, text } of await tutorial()) {
    const block = here(text).trimEnd();
    if (file) await Bun.write(join(place.path, file), `${block}\n`);
    else if (block.startsWith("holdfast run")) {
      const agent = place.start(["sh", "-c", `exec ${block}`]);
      cleanup.defer(async () => {
        agent.kill("SIGTERM");
        await agent.exited;
      });
      await waitFor("the agent", async () => (await fetch(`http://${address}/-/ready`)).ok);
    } else if (language === "sh") {
      // The series are there a moment after the agent is.
      if (block.startsWith("curl")) await waitFor(`the success of ${block}`, () => place.run(block).then(() => true));
      else await place.run(block);
      lastLine = block.split("\n").at(-1) ?? "";
      ran++;
    } else if (language === "text") {
      await waitFor(`the output of ${lastLine}`, async () => {
        expect(await place.run(lastLine)).toBe(`${block}\n`);
        return true;
      });
    }
  }
  expect(ran).toBeGreaterThanOrEqual(5);

  const tsc = Bun.spawn([join(repository, "node_modules/.bin/tsc"), "--project", join(place.path, "plugins/spool")], {
    stdout: "pipe",
  });
  expect(await tsc.stdout.text()).toBe("");
  expect(await place.run("holdfast plugin list --config.file=holdfast.yml")).toContain("0.2.0");
  expect(await place.run("holdfast schema --config.file=holdfast.yml")).toContain("Endings of the files to count.");
}, 120_000);

test("the executable imports the packages in a node_modules folder beside a plugin", async () => {
  await using place = await createWorkplace();
  const files = {
    "plugins/dep/node_modules/answer/package.json": '{ "name": "answer", "main": "./lib/main.js" }',
    "plugins/dep/node_modules/answer/lib/main.js": "exports.answer = 42;",
    "plugins/dep/index.ts": `import { answer } from "answer";
      import { definePlugin, z } from "holdfast";
      import { Gauge } from "prom-client";
      import { z as same } from "zod";
      export default definePlugin({
        name: "dep", description: "d", config: z.strictObject({}),
        setup({ metrics }) {
          const gauge = metrics.gauge({ name: "dep_answer", help: "h", labelNames: ["z", "gauge"] });
          return { collect: () => gauge.set({ z: String(z === same), gauge: String(gauge instanceof Gauge) }, answer) };
        },
      });`,
    "holdfast.yml": "plugin_dir: plugins\nplugins: { dep: }\n",
  };
  for (const [name, text] of Object.entries(files)) await Bun.write(join(place.path, name), text);
  expect(await place.run("holdfast collect dep --config.file=holdfast.yml")).toEndWith(
    'dep_answer{z="true",gauge="true"} 42\n',
  );
});

test("a failed command of a plugin made by the scaffold is counted by its reason", async () => {
  await using place = await createWorkplace();
  await place.run("holdfast plugin new spool plugins");
  const config = "plugin_dir: plugins\nplugins: { spool: { config: { directory: /nonesuch } } }\n";
  await Bun.write(join(place.path, "holdfast.yml"), config);
  // Its tsconfig.json leads to a copy of the SDK with a RunError of its own: the agent must not load that one.
  await expect(place.run("holdfast collect spool --config.file=holdfast.yml")).rejects.toThrow(
    'Cannot collect spool: exit: Cannot run "ls": exit status 2',
  );
});
