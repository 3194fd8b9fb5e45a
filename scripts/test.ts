/**
 * Builds, checks and tests, then says how it went. The last line is `N passed, N failed`, `, N skipped` where there are any.
 * Arguments: parts of paths; only test files whose path holds one of them are run.
 * Each file is run in a process of its own: what one leaves behind, or a crash, cannot change another.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseJunit } from "./lib/junit.ts";

const repository = new URL("..", import.meta.url).pathname;
const patterns = process.argv.slice(2);

interface Group {
  /** What the files' paths begin with. */
  readonly paths: readonly string[];
  /** Of these, what other groups have. */
  readonly without?: readonly string[];
  /** Files run at once. What looks at timings wants the machine for itself; servers mostly wait. */
  readonly atOnce: number;
  /** For each test. */
  readonly timeoutMs: number;
}

/** Short time limits, stalls and cuts, and who is sooner. */
const timed = ["test/integration/pgrwl/faults/", "test/integration/pgrwl/switches.test.ts"];

const groups: readonly Group[] = [
  { paths: ["test/unit/"], atOnce: 2, timeoutMs: 120_000 },
  { paths: ["test/integration/"], without: timed, atOnce: 2, timeoutMs: 120_000 },
  { paths: timed, atOnce: 1, timeoutMs: 120_000 },
  { paths: ["test/e2e/"], atOnce: 1, timeoutMs: 120_000 },
];

const checks: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: "build", command: ["scripts/build"] },
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "lint", command: ["biome", "ci", "--colors=off", "--diagnostic-level=error"] },
];

/** A file that hangs outside of its tests, where no timeout of theirs counts. */
const fileTimeoutMs = 15 * 60_000;

let passed = 0;
const failed: string[] = [];
const skipped: string[] = [];

const print = (text: string) => process.stdout.write(`${text}\n`);

async function run(command: readonly string[], timeoutMs: number) {
  const startedAt = performance.now();
  const child = Bun.spawn([...command], {
    cwd: repository,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const exitCode = await child.exited;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const end = child.signalCode === null ? `exit status ${exitCode}` : `ended by ${child.signalCode}`;
  return { ok: exitCode === 0 && child.signalCode === null, end, output: stdout + stderr, seconds };
}

async function runCheck({ name, command }: (typeof checks)[number]): Promise<void> {
  const { ok, output, seconds } = await run(command, fileTimeoutMs);
  print(`${name}: ${ok ? "ok" : "failed"} (${seconds} s)`);
  if (ok) {
    passed++;
    return;
  }
  failed.push(name);
  print(output.trimEnd().split("\n").slice(-200).join("\n"));
}

async function runFile(file: string, { timeoutMs }: Group, scratch: string): Promise<void> {
  const report = join(scratch, `${file.replaceAll("/", "-")}.xml`);
  const command = [
    ...[process.execPath, "test", `--timeout=${timeoutMs}`],
    ...["--reporter=junit", `--reporter-outfile=${report}`, `./${file}`],
  ];
  const { ok, end, output, seconds } = await run(command, fileTimeoutMs);
  const cases = (await Bun.file(report).exists()) ? parseJunit(await Bun.file(report).text()) : [];
  const named = (outcome: string) =>
    cases.filter((one) => one.outcome === outcome).map(({ name }) => `${file}: ${name}`);
  const failures = named("failed");
  // A file that cannot be loaded, a crash or a stray error is in no report.
  if (!ok && failures.length === 0) failures.push(`${file}: ${end}`);
  if (ok && cases.length === 0) failures.push(`${file}: no test was run`);
  const passes = named("passed").length;
  passed += passes;
  failed.push(...failures);
  skipped.push(...named("skipped"));
  const counts = [`${passes} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
  if (named("skipped").length > 0) counts.push(`${named("skipped").length} skipped`);
  print(`${file}: ${counts.join(", ")} (${seconds} s)`);
  if (failures.length > 0) print(withoutPasses(output));
}

function withoutPasses(output: string): string {
  return output
    .split("\n")
    .filter((line) => !line.startsWith("(pass)") && !line.startsWith("(skip)"))
    .join("\n")
    .trimEnd();
}

async function runGroup(group: Group, scratch: string): Promise<void> {
  const isOf = (file: string, paths: readonly string[]) => paths.some((path) => file.startsWith(path));
  const files = [...new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: repository })]
    .filter((file) => isOf(file, group.paths) && !isOf(file, group.without ?? []))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort();
  const next = async (): Promise<void> => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) await runFile(file, group, scratch);
  };
  await Promise.all(Array.from({ length: group.atOnce }, next));
}

const scratch = await mkdtemp(join(tmpdir(), "holdfast-test-reports-"));
try {
  for (const check of checks) await runCheck(check);
  for (const group of groups) await runGroup(group, scratch);
} finally {
  await rm(scratch, { recursive: true });
}

if (skipped.length > 0) print(`\nSkipped:\n${skipped.map((name) => `  ${name}`).join("\n")}`);
if (failed.length > 0) print(`\nFailed:\n${failed.map((name) => `  ${name}`).join("\n")}`);
print("");
const counts = [`${passed} passed`, `${failed.length} failed`];
if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
print(counts.join(", "));
process.exitCode = failed.length === 0 ? 0 : 1;
