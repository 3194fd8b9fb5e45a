import { mkdtemp, rm, stat } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onStop } from "../system/signals.ts";
import { type Command, type FlagValues, UsageError } from "./command.ts";
import { readAuthorKit } from "./scaffold/kit.ts";
import { testPreload } from "./scaffold/test-preload.ts";
import { writeFiles } from "./scaffold/write-files.ts";

export const command: Command = {
  name: "plugin test",
  summary: "Runs the tests of plugins, with the test runner in this executable.",
  operands: { usage: "[DIR | FILE …]", least: 0, most: Number.POSITIVE_INFINITY },
  flags: [
    { name: "test-name-pattern", short: "t", value: "REGEXP", help: "Run only tests whose names match." },
    { name: "update-snapshots", short: "u", help: "Write snapshots anew." },
    { name: "watch", help: "Run again at each change." },
  ],
  details:
    "Of a DIR all files below it are run that are called as *.test.ts is. Default: the current folder. Exit status 1 when a test fails.",
  async run(flags, operands) {
    const files = await testFiles(operands.length > 0 ? operands : ["."]);
    const folder = await mkdtemp(join(tmpdir(), "holdfast-plugin-test-"));
    try {
      const { modules } = await readAuthorKit();
      await writeFiles(folder, { ...modules, "preload.js": testPreload });
      return await runTests([...testFlags(flags), `--preload=${join(folder, "preload.js")}`, ...files]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const testFile = new Bun.Glob("**/*{.,_}{test,spec}.{ts,tsx,js,jsx,mts,mjs,cts,cjs}");

/** Absolute paths. @throws {UsageError} There are none. */
async function testFiles(operands: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  for (const operand of operands) {
    const path = resolve(operand);
    const found = await stat(path).catch((cause: unknown) => {
      throw new UsageError(`Cannot run the tests of ${JSON.stringify(operand)}`, { cause });
    });
    if (!found.isDirectory()) files.add(path);
    else {
      // Hidden folders are passed over; of node_modules the tests are somebody else's.
      const inside = (await Array.fromAsync(testFile.scan({ cwd: path }))).filter(
        (file) => !file.split("/").includes("node_modules"),
      );
      if (inside.length === 0) {
        throw new UsageError(`Cannot find tests in ${JSON.stringify(operand)}: expected a file such as index.test.ts`);
      }
      for (const file of inside.sort()) files.add(join(path, file));
    }
  }
  return [...files];
}

function testFlags(flags: FlagValues): string[] {
  const pattern = flags.text("test-name-pattern");
  return [
    ...(pattern === undefined ? [] : [`--test-name-pattern=${pattern}`]),
    ...(flags.isSet("update-snapshots") ? ["--update-snapshots"] : []),
    ...(flags.isSet("watch") ? ["--watch", "--no-clear-screen"] : []),
  ];
}

/** Runs this executable as Bun, which it holds whole. @returns The exit status. */
async function runTests(args: readonly string[]): Promise<number> {
  // What is missing is not fetched from the internet.
  const child = Bun.spawn([process.execPath, "test", "--no-install", ...args], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdio: ["inherit", "inherit", "inherit"],
  });
  onStop((signal) => child.kill(signal));
  await child.exited;
  const { exitCode, signalCode } = child;
  return typeof signalCode === "string" ? 128 + constants.signals[signalCode] : (exitCode ?? 1);
}
