/** Commands are real processes here; what they leave behind is looked for in /proc. */
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createRun, RunError, type RunOptions } from "../../../agent/sdk/run.ts";
import { createFolder } from "../../harness/folders.ts";
import { waitFor } from "../../harness/wait.ts";

const run = createRun();
const shell = (script: string, options?: RunOptions) => run(["sh", "-c", script], options);

/** The error of a command that is to fail. */
async function failureOf(running: Promise<unknown>): Promise<RunError> {
  const error = await running.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof RunError)) throw new Error(`Expected a RunError, found ${String(error)}`);
  return error;
}

/** Whether a process is there and is no zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

const leftOver = new Set<number>();
afterEach(() => {
  for (const pid of leftOver) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  leftOver.clear();
});

describe("a command that answers", () => {
  test("gives stdout, stderr, its exit code and its duration", async () => {
    const result = await shell("echo out; echo err >&2");
    expect(result).toMatchObject({ stdout: "out\n", stderr: "err\n", exitCode: 0 });
    expect(result.durationSeconds).toBeGreaterThan(0);
  });

  test("has an answer with the exit codes that are said to be one", async () => {
    expect(await shell("echo found; exit 3", { okExitCodes: [0, 3] })).toMatchObject({
      stdout: "found\n",
      exitCode: 3,
    });
  });

  test("is given its text on stdin, and nothing without one", async () => {
    expect((await run(["cat"], { stdin: "grüße\n" })).stdout).toBe("grüße\n");
    expect((await run(["cat"])).stdout).toBe("");
  });

  test("may leave its stdin unread", async () => {
    expect((await run(["true"], { stdin: "x".repeat(1_000_000) })).exitCode).toBe(0);
  });

  test("has the whole environment and the folder that it is given", async () => {
    await using folder = await createFolder("holdfast-run");
    const options = { env: { GREETING: "hello" }, cwd: folder.path };
    const { stdout } = await run(["/bin/sh", "-c", 'echo "$GREETING $HOME"; pwd'], options);
    expect(stdout).toBe(`hello \n${folder.path}\n`);
  });

  test("is not seen by a shell: arguments arrive as they are", async () => {
    expect((await run(["printf", "%s|", "a b", "$HOME", "'"])).stdout).toBe("a b|$HOME|'|");
  });

  test("keeps characters whole whose bytes arrive apart", async () => {
    expect((await shell("printf '\\303'; sleep 0.05; printf '\\274'")).stdout).toBe("ü");
  });

  test("quotes a long stderr from a whole word on: the rest of a secret could not be redacted", async () => {
    const error = await failureOf(shell(`printf 'password=hunter2secret %0490d end' 0 >&2; exit 3`));
    expect(error.message).toEndWith("0 end");
    expect(error.message).not.toContain("ret ");
  });

  test("quotes nothing of a stderr that ends in the rest of one long word, such as a token's", async () => {
    const error = await failureOf(shell("printf 'invalid token: eyJ%0800d' 0 >&2; exit 3"));
    expect(error.message).toEndWith("exit status 3");
  });

  test("gives the end of a long stderr, of at most 64 KiB", async () => {
    const { stderr } = await shell("head -c 300000 /dev/zero | tr '\\0' x >&2; echo the end >&2");
    expect(stderr).toEndWith("xxxthe end\n");
    expect(stderr.length).toBeLessThanOrEqual(64 * 1024);
    expect(stderr.length).toBeGreaterThan(32 * 1024);
  });

  test("does not wait for a grandchild that holds stdout, and ends it", async () => {
    const { stdout, durationSeconds } = await shell("sleep 300 & echo $!");
    expect(durationSeconds).toBeLessThan(5);
    await waitFor("the end of the grandchild", () => !isAlive(Number(stdout)));
  });

  test("does not wait for a grandchild that has left the process group", async () => {
    await using folder = await createFolder("holdfast-run");
    const script = "mkfifo left; setsid sh -c 'echo $$; : > left; exec sleep 300' & cat left";
    const { stdout, durationSeconds } = await shell(script, { cwd: folder.path });
    leftOver.add(Number(stdout));
    expect(isAlive(Number(stdout))).toBe(true);
    expect(durationSeconds).toBeLessThan(5);
  });
});

describe("a command that cannot be started", () => {
  test.each([
    ["is not there", ["nonesuch-command"], {}, "no such command in PATH"],
    ["is no executable", ["/etc/passwd"], {}, "permission denied, this user may not run it"],
    ["is to run in a folder that is not there", ["true"], { cwd: "/nonesuch" }, "or directory"],
  ] as const)("fails with reason spawn when it %s", async (_, command, options, found) => {
    const error = await failureOf(run(command, options));
    expect(error.message).toContain(found);
    expect(error).toMatchObject({ reason: "spawn", command, exitCode: undefined });
    expect(error.message).toStartWith(`Cannot run "${command[0]}": `);
  });
});

describe("a command that fails", () => {
  test("carries its exit code, its output and its last words", async () => {
    const error = await failureOf(
      shell("echo partial; echo one >&2; echo two >&2; echo three >&2; echo four >&2; exit 3"),
    );
    expect(error).toMatchObject({
      reason: "exit",
      exitCode: 3,
      stdout: "partial\n",
      stderr: "one\ntwo\nthree\nfour\n",
    });
    expect(error.message).toBe('Cannot run "sh": exit status 3: two | three | four');
  });

  test("names the signal that ended it", async () => {
    const error = await failureOf(shell("kill -KILL $$"));
    expect(error).toMatchObject({ reason: "exit", message: 'Cannot run "sh": ended by SIGKILL' });
  });

  test("ends what it has started", async () => {
    const error = await failureOf(shell("sleep 300 & echo $!; exit 1"));
    await waitFor("the end of the grandchild", () => !isAlive(Number(error.stdout)));
  });
});

describe("a command that takes too long", () => {
  test("is ended at its own limit, with its children", async () => {
    const error = await failureOf(shell("sleep 300 & echo $!; wait", { timeoutMs: 300 }));
    expect(error).toMatchObject({ reason: "timeout" });
    expect(error.message).toMatch(/^Cannot run "sh": no answer after (?:0\.[3-9]|[1-9]\d*\.\d) s$/);
    await waitFor("the end of the grandchild", () => !isAlive(Number(error.stdout)));
  });

  test("is killed two seconds later when it ignores SIGTERM", async () => {
    const startedAt = performance.now();
    const error = await failureOf(shell("trap '' TERM; echo $$; while :; do sleep 1; done", { timeoutMs: 2_000 }));
    expect(error.reason).toBe("timeout");
    expect(performance.now() - startedAt).toBeWithin(4_000, 8_000);
    expect(isAlive(Number(error.stdout))).toBe(false);
  });

  test("fails with reason timeout also when a signal's timeout ended it", async () => {
    const error = await failureOf(run(["sleep", "300"], { signal: AbortSignal.timeout(100) }));
    expect(error.reason).toBe("timeout");
  });

  test("that answers although it was told to end has failed all the same", async () => {
    const error = await failureOf(shell("trap 'echo late; exit 0' TERM; sleep 300 & wait", { timeoutMs: 2_000 }));
    expect(error).toMatchObject({ reason: "timeout", stdout: "late\n" });
  });
});

describe("an output past its bound", () => {
  test("ends the command with reason oversize", async () => {
    const error = await failureOf(shell("echo $$ >&2; exec yes", { maxOutputBytes: 1_000 }));
    expect(error).toMatchObject({ reason: "oversize", stdout: "" });
    expect(error.message).toStartWith('Cannot run "sh": more than 1000 bytes on stdout');
    expect(isAlive(Number(error.stderr))).toBe(false);
  });

  test("of exactly the bound is none", async () => {
    const { stdout } = await shell("head -c 1000 /dev/zero | tr '\\0' x", { maxOutputBytes: 1_000 });
    expect(stdout).toHaveLength(1_000);
  });
});

describe("an aborted signal", () => {
  test("ends the command with reason aborted", async () => {
    const controller = new AbortController();
    const pids: number[] = [];
    const running = createRun(controller.signal, { onSpawn: (pid) => void pids.push(pid) })(["sleep", "300"]);
    controller.abort();
    expect(await failureOf(running)).toMatchObject({ reason: "aborted", message: 'Cannot run "sleep": aborted' });
    expect(pids.map(isAlive)).toEqual([false]);
  });

  test("starts nothing when it was aborted before", async () => {
    const pids: number[] = [];
    const stopped = createRun(AbortSignal.abort(), { onSpawn: (pid) => void pids.push(pid) });
    expect(await failureOf(stopped(["true"]))).toMatchObject({ reason: "aborted" });
    expect(await failureOf(run(["true"], { signal: AbortSignal.abort() }))).toMatchObject({ reason: "aborted" });
    expect(pids).toEqual([]);
  });
});

describe("a process group that may not be signalled, as one that sudo made another user's", () => {
  const forbidden = () => {
    throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
  };

  test("gives its answer all the same", async () => {
    using _kill = spyOn(process, "kill").mockImplementation(forbidden);
    expect((await shell("echo out")).stdout).toBe("out\n");
  });

  test("is given up on when it runs past its limit", async () => {
    const pids: number[] = [];
    const watched = createRun(undefined, { onSpawn: (pid) => void pids.push(pid) });
    const kill = spyOn(process, "kill").mockImplementation(forbidden);
    const error = await failureOf(watched(["sleep", "300"], { timeoutMs: 50 })).finally(() => kill.mockRestore());
    expect(error.reason).toBe("timeout");
    for (const pid of pids) leftOver.add(pid);
  });
});

test("each process group is told of twice: when it is there and when it is gone", async () => {
  const told: string[] = [];
  const watched = createRun(undefined, {
    onSpawn: (pid) => void told.push(`spawned ${pid}`),
    onExit: (pid) => void told.push(`exited ${pid}`),
  });
  const { stdout } = await watched(["sh", "-c", "echo $$"]);
  await failureOf(watched(["false"]));
  await failureOf(watched(["nonesuch-command"]));
  expect(told).toHaveLength(4);
  expect(told.slice(0, 2)).toEqual([`spawned ${stdout.trim()}`, `exited ${stdout.trim()}`]);
});
