import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { replay } from "../../../agent/sdk/replay.ts";
import { createRun, RunError } from "../../../agent/sdk/run.ts";
import { createFolder } from "../../harness/folders.ts";

const errorOf = async (running: Promise<unknown>): Promise<unknown> => await running.then(String, (error) => error);

describe("replay()", () => {
  test("answers a command with what was recorded of it", async () => {
    const run = replay([
      { command: ["tool", "a"], stdout: "A\n" },
      { command: ["tool", "b"], stdout: "B\n", stderr: "warning\n" },
    ]);
    expect(await run(["tool", "b"])).toMatchObject({ stdout: "B\n", stderr: "warning\n", exitCode: 0 });
    expect(run.commands).toEqual([["tool", "b"]]);
  });

  test("reads what was printed from a file, given by its path or its URL", async () => {
    await using folder = await createFolder("holdfast-replay");
    const file = join(folder.path, "listing.txt");
    await Bun.write(file, "one\n");
    for (const recorded of [file, pathToFileURL(file)]) {
      expect((await replay([{ command: ["ls"], file: recorded }])(["ls"])).stdout).toBe("one\n");
    }
  });

  test("plays several recordings of one command in their order, and the last one again", async () => {
    const run = replay(["1", "2"].map((stdout) => ({ command: ["ls"], stdout })));
    const answers = [await run(["ls"]), await run(["ls"]), await run(["ls"])];
    expect(answers.map(({ stdout }) => stdout)).toEqual(["1", "2", "2"]);
  });

  test("names the command that has no recording, and those that have one", async () => {
    const run = replay([{ command: ["ls", "-1"] }]);
    const error = await errorOf(run(["ls", "-l"]));
    expect(error).not.toBeInstanceOf(RunError);
    expect(String(error)).toBe('Error: No recording of the command ["ls","-l"]; recorded: ["ls","-1"]');
    expect(String(await errorOf(replay([])(["ls"])))).toEndWith("recorded: nothing");
  });

  test("fails as a real command does", async () => {
    const script = "echo partial; echo no such server >&2; exit 3";
    const command = ["sh", "-c", script] as const;
    const played = replay([{ command, stdout: "partial\n", stderr: "no such server\n", exitCode: 3 }]);
    const [real, recorded] = [await errorOf(createRun()(command)), await errorOf(played(command))] as RunError[];
    expect(recorded).toBeInstanceOf(RunError);
    expect(recorded).toEqual(real as RunError);
    expect({ ...recorded }).toEqual({ ...real } as RunError);
  });

  test("takes the exit codes that are an answer, and the bound of the output", async () => {
    const run = replay([{ command: ["x"], stdout: "12345", exitCode: 3 }]);
    expect(await run(["x"], { okExitCodes: [3] })).toMatchObject({ stdout: "12345", exitCode: 3 });
    expect(await errorOf(run(["x"], { okExitCodes: [3], maxOutputBytes: 4 }))).toMatchObject({ reason: "oversize" });
  });

  test.each(["spawn", "timeout"] as const)("fails with reason %s where that was recorded", async (fails) => {
    const error = await errorOf(replay([{ command: ["x"], fails }])(["x"]));
    expect(error).toBeInstanceOf(RunError);
    expect(error).toMatchObject({ reason: fails, command: ["x"] });
  });

  test("gives no answer once its signal is aborted", async () => {
    const run = replay([{ command: ["x"] }]);
    expect(await errorOf(run(["x"], { signal: AbortSignal.abort() }))).toMatchObject({ reason: "aborted" });
  });
});
