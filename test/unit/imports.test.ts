/** Imports point one way, as CONTRIBUTING.md says. */
import { expect, test } from "bun:test";
import { dirname, relative, resolve } from "node:path";

const root = new URL("../..", import.meta.url).pathname;

/** What each part may import of the project, beside itself. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "agent/main.ts": ["agent/commands", "agent/compat", "agent/config", "agent/system"],
  "agent/build.ts": [],
  "agent/commands": [
    "agent/build.ts",
    "agent/config",
    "agent/host",
    "agent/http",
    "agent/metrics",
    "agent/system",
    "agent/sdk",
    // Formats that a plugin writes and a command reads: `snapshot verify` and `snapshot restore` need no agent.
    "plugins/common",
  ],
  // The originals' own keys, which the plugin that takes their place reads too.
  "agent/compat": [
    "agent/build.ts",
    "agent/commands",
    "agent/config",
    "agent/host",
    "agent/sdk",
    "agent/system",
    "plugins/common",
  ],
  "agent/host": ["agent/config", "agent/metrics", "agent/system", "agent/sdk", "plugins"],
  "agent/http": ["agent/config", "agent/metrics", "agent/system", "agent/sdk"],
  "agent/config": ["agent/sdk"],
  "agent/metrics": ["agent/sdk"],
  "agent/system": ["agent/sdk"],
  "agent/sdk": [],
};

/** `agent/host` of `agent/host/worker.ts`, `plugins/barman` of `plugins/barman/index.ts`. */
function partOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  return first === "agent" || first === "plugins" ? `${first}/${second}` : first;
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  if (from.startsWith("plugins/")) return to === "plugins/common";
  return (allowed[from] ?? []).some((part) => to === part || to.startsWith(`${part}/`));
}

const files = [...new Bun.Glob("{agent,plugins}/**/*.ts").scanSync({ cwd: root })].filter(
  (file) => !file.includes("/template/"),
);

test.each(files)("%s imports only what its part may", async (file) => {
  const text = await Bun.file(`${root}/${file}`).text();
  const imported = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map(([, path = ""]) =>
    partOf(relative(root, resolve(root, dirname(file), path))),
  );
  const wrong = imported.filter((part) => !mayImport(partOf(file), part) && part !== "dist");
  expect(wrong).toEqual([]);
  const toPlugins = imported.some((part) => part.startsWith("plugins/") && part !== "plugins/common");
  if (file.startsWith("agent/")) expect(toPlugins).toBe(file === "agent/host/builtin.ts");
  // What is common to plugins is common to commands too; no other part of the agent needs it.
  if (imported.includes("plugins/common")) expect(file).toMatch(/^(?:plugins|agent\/commands|agent\/compat)\//);
});
