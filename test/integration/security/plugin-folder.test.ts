/** Whoever can write a plugin runs code as the agent. */
import { expect, test } from "bun:test";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce } from "../../harness/agent.ts";
import { createFolder } from "../../harness/folders.ts";

const plugin = `import { definePlugin, z } from "holdfast";
export default definePlugin({ name: "spool", description: "x", config: z.strictObject({}), setup: () => ({}) });
`;

test.each(["the folder", "the file"])("a plugin is not loaded where every user may write to %s", async (what) => {
  await using folder = await createFolder("holdfast-plugins");
  await writeFile(join(folder.path, "spool.ts"), plugin);
  const config = join(folder.path, "holdfast.yml");
  await writeFile(config, `plugin_dir: .\nplugins:\n  spool: { config: {} }\n`);
  const before = await runOnce(["check", `--config.file=${config}`]);
  expect([before.stderr, before.status]).toEqual(["", 0]);
  const open = what === "the folder" ? folder.path : join(folder.path, "spool.ts");
  await chmod(open, 0o777);
  const after = await runOnce(["check", `--config.file=${config}`]);
  expect(after.status).toBe(2);
  expect(after.stderr).toContain(`every user of this machine may write to ${open}: chmod o-w it`);
});
