/** The commands of plugin authors from the sources, in a folder of their own. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createFolder } from "../../harness/folders.ts";

const repository = new URL("../../..", import.meta.url).pathname;

/** Makes what `plugin new` and `plugin test` read, where the executable was not built. */
export async function requireAuthorKit(): Promise<void> {
  if (existsSync(join(repository, "dist/author-kit.zst"))) return;
  const child = Bun.spawn([process.execPath, join(repository, "scripts/build-scaffold.ts")], { stdout: "ignore" });
  if ((await child.exited) !== 0) throw new Error("scripts/build-scaffold.ts failed");
}

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param env Beside the environment of this process. */
export async function createAuthorFolder(
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
) {
  const folder = await createFolder("holdfast-author");
  const place = {
    path: folder.path,
    async write(written: Readonly<Record<string, string>>): Promise<void> {
      for (const [name, text] of Object.entries(written)) {
        await mkdir(dirname(join(folder.path, name)), { recursive: true });
        await Bun.write(join(folder.path, name), text);
      }
    },
    /** Starts `holdfast plugin …`. */
    start(...args: string[]) {
      const command = [process.execPath, join(repository, "agent/main.ts"), "plugin", ...args];
      const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
      return Bun.spawn(command, { cwd: folder.path, env: { ...process.env, ...env }, ...pipes });
    },
    /** Runs `holdfast plugin …` to its end. */
    async plugin(...args: string[]): Promise<Outcome> {
      const child = place.start(...args);
      const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      return { status, stdout, stderr };
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
  await place.write(files);
  return place;
}
