import { expect, test } from "bun:test";
import { join } from "node:path";
import { commandTable } from "../../../../scripts/lib/package/command-table.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "../../../../scripts/lib/package/completions.ts";
import { createFolder } from "../../../harness/folders.ts";

const commands = await commandTable();

/** What bash offers for the last of these words, as Readline parts them. */
async function offered(words: readonly string[]): Promise<string[]> {
  await using folder = await createFolder("holdfast-completion");
  await Bun.write(join(folder.path, "holdfast.yml"), "");
  await Bun.write(join(folder.path, "folder/file"), "");
  const script = `compopt() { :; }
${bashCompletion(commands)}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_holdfast
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = Bun.spawnSync(["bash", "-uc", script, "bash", ...words], { cwd: folder.path });
  expect(child.stderr.toString()).toBe("");
  return child.stdout.toString().split("\n").filter(Boolean);
}

test.each([
  [["holdfast", "sn"], ["snapshot"]],
  [
    ["holdfast", "snapshot", ""],
    ["create", "list", "verify", "prune", "restore"],
  ],
  [["holdfast", "plugin", "n"], ["new"]],
  [["holdfast", "check", "--conf"], ["--config.file="]],
  [["holdfast", "check", "--config.file", "=", "hold"], ["holdfast.yml"]],
  [
    ["holdfast", "check", "--config.file", "="],
    ["folder", "holdfast.yml"],
  ],
  [["holdfast", "check", "-c", "hold"], ["holdfast.yml"]],
  [["holdfast", "plugin", "list", "--plugin-dir", "=", ""], ["folder"]],
  [["holdfast", "snapshot", "verify", "hold"], ["holdfast.yml"]],
  [["holdfast", "run", "--log.l"], ["--log.level="]],
  [["holdfast", "--ver"], ["--version"]],
  [["holdfast", "a"], ["as"]],
  [
    ["holdfast", "as", "p"],
    ["pgrwl", "prombackup", "prombackup-server"],
  ],
  [["holdfast", "as", "pgrwl", "--pri"], ["--print-config"]],
  [["holdfast", "as", "walg-exporter", "--web.l"], ["--web.listen-address="]],
  [["holdfast", "as", "barman_exporter", "--config", "=", "hold"], ["holdfast.yml"]],
  [["holdfast", "frobnicate", ""], []],
])("bash offers for %j", async (words, expected) => {
  expect((await offered(words)).sort()).toEqual([...expected].sort());
});

test("bash offers every flag of every command", async () => {
  const script = bashCompletion(commands);
  for (const { flags } of commands) {
    for (const { name, internal } of flags) if (!internal) expect(script).toContain(`--${name}`);
  }
});

test.if(Bun.which("fish") !== null)("fish offers commands, those behind the first word, and flags", async () => {
  await using folder = await createFolder("holdfast-completion");
  const file = join(folder.path, "holdfast.fish");
  await Bun.write(file, fishCompletion(commands));
  const ask = (line: string) => {
    const child = Bun.spawnSync(["fish", "--no-config", "-c", `source ${file}; complete -C '${line}'`], {
      cwd: folder.path,
      env: { ...process.env, HOME: folder.path },
    });
    return child.stdout
      .toString()
      .split("\n")
      .map((offer) => offer.split("\t")[0] ?? "")
      .filter(Boolean);
  };
  expect(ask("holdfast sn")).toEqual(["snapshot"]);
  expect(ask("holdfast snapshot ")).toEqual(["create", "list", "prune", "restore", "verify"]);
  expect(ask("holdfast as barman")).toEqual(["barman-exporter", "barman_exporter"]);
  expect(ask("holdfast as pgrwl --pri")).toEqual(["--print-config"]);
  expect(ask("holdfast run --log")).toEqual(["--log.format", "--log.level"]);
});

test.if(Bun.which("zsh") !== null)("zsh reads its completion", async () => {
  const child = Bun.spawnSync(["zsh", "-n"], { stdin: new TextEncoder().encode(zshCompletion(commands)) });
  expect([child.exitCode, child.stderr.toString()]).toEqual([0, ""]);
});
