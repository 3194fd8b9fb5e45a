/**
 * All property tests of the units with many cases: `bun scripts/soak/fuzz.ts [cases] [seed]`, 20,000 cases for each property
 * and a random seed unless told otherwise. These tests feed every parser with what others could have written.
 * A property that names its own number of cases keeps it. Exit status 1 when one failed; fast-check prints the example.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const repository = new URL("../..", import.meta.url).pathname;
const print = (text: string) => process.stdout.write(`${text}\n`);

function numberOf(argument: string | undefined, otherwise: number): number {
  const number = Number(argument ?? otherwise);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  process.stderr.write(`Cannot read the number "${argument}"; usage: fuzz.ts [cases] [seed]\n`);
  process.exit(2);
}

async function propertyTests(): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const path of new Bun.Glob("test/unit/**/*.test.ts").scan({ cwd: repository }))
    if ((await Bun.file(join(repository, path)).text()).includes('from "fast-check"')) found.push(path);
  return found.sort();
}

const numRuns = numberOf(process.argv[2], 20_000);
const seed = numberOf(process.argv[3], Math.floor(Math.random() * 2 ** 31));
const scratch = await mkdtemp(join(tmpdir(), "holdfast-fuzz-"));
const setup = join(scratch, "setup.ts");
const fastCheck = Bun.resolveSync("fast-check", repository);
await Bun.write(
  setup,
  `import fc from ${JSON.stringify(fastCheck)};\nfc.configureGlobal(${JSON.stringify({ numRuns, seed })});\n`,
);
const failed: string[] = [];
const files = await propertyTests();
print(`${files.length} files, ${numRuns} cases for each property, seed ${seed}`);
for (const [index, file] of files.entries()) {
  const startedAt = performance.now();
  const child = Bun.spawn([process.execPath, "test", "--timeout=3600000", `--preload=${setup}`, `./${file}`], {
    cwd: repository,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const isRight = (await child.exited) === 0;
  if (!isRight) failed.push(file);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  print(`${index + 1}/${files.length} ${file}: ${isRight ? "right" : "failed"} (${seconds} s)`);
  if (!isRight) print((output + errors).trimEnd().split("\n").slice(-60).join("\n"));
}
await rm(scratch, { recursive: true });
print(failed.length === 0 ? "None failed." : `${failed.length} failed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
