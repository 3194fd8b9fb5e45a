/** Puts configuration files into a folder of their own, loads them, and gives the problems as people read them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AgentConfig } from "../../../agent/config/config.ts";
import { type LoadOptions, type LoadResult, loadConfig } from "../../../agent/config/load.ts";
import { formatProblem } from "../../../agent/config/problems.ts";

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Loads `holdfast.yml` of these files from their folder; `use` runs before the folder goes. */
export async function load<T = LoadResult>(
  files: string | Files,
  options: Partial<LoadOptions> = {},
  use: (result: LoadResult, folder: string) => T | Promise<T> = (result) => result as T,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-config-"));
  try {
    for (const [name, content] of Object.entries(typeof files === "string" ? { "holdfast.yml": files } : files)) {
      await Bun.write(join(folder, name), content);
    }
    return await use(await loadConfig("holdfast.yml", { environment: {}, cwd: folder, ...options }), folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The problems, one a line each. */
export async function problemsIn(files: string | Files, options: Partial<LoadOptions> = {}): Promise<string[]> {
  const result = await load(files, options);
  return "problems" in result ? result.problems.map(formatProblem) : [];
}

/** The configuration of files that are right. */
export async function configOf(files: string | Files, options: Partial<LoadOptions> = {}): Promise<AgentConfig> {
  const result = await load(files, options);
  if ("config" in result) return result.config;
  throw new Error(result.problems.map(formatProblem).join("\n"));
}
