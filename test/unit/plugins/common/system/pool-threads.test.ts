import { expect, test } from "bun:test";
import { createFolder } from "../../../../harness/folders.ts";

const poolThreads = new URL("../../../../../plugins/common/system/pool-threads.ts", import.meta.url).pathname;

/** In a process of its own: nobody gets a priority back. */
const script = `
import { readFile } from "node:fs/promises";
import { readdirSync, readFileSync } from "node:fs";
import { yieldPoolThreads } from ${JSON.stringify(poolThreads)};
await readFile(import.meta.path);
yieldPoolThreads();
const threads = readdirSync("/proc/self/task").map((id) => {
  const stat = readFileSync("/proc/self/task/" + id + "/stat", "utf8");
  const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
  return { isPool: name.startsWith("Bun Pool"), nice: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]) };
});
process.stdout.write(JSON.stringify(threads));
`;

test.skipIf(process.platform !== "linux")(
  "yieldPoolThreads() lowers the runtime's pool, and no other thread",
  async () => {
    await using folder = await createFolder("holdfast-pool");
    await Bun.write(`${folder.path}/script.ts`, script);
    const child = Bun.spawn([process.execPath, `${folder.path}/script.ts`], { stdout: "pipe", stderr: "inherit" });
    const threads = JSON.parse(await new Response(child.stdout).text()) as { isPool: boolean; nice: number }[];
    const own = threads.filter(({ isPool }) => !isPool).map(({ nice }) => nice);
    const pool = threads.filter(({ isPool }) => isPool).map(({ nice }) => nice);
    expect(pool.length).toBeGreaterThan(0);
    expect(Math.min(...pool)).toBeGreaterThan(Math.max(...own));
  },
);
