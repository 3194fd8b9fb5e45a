/** The demo as people run it, but for the build. */
import { expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { serverUser } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";

const repository = new URL("../..", import.meta.url).pathname;

interface Demo extends AsyncDisposable {
  /** Where it makes its temporary folders. */
  readonly folder: string;
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  output(): string;
  /** Waits for its end, and for all that it printed. @returns The exit status. */
  ended(): Promise<number>;
  /** Waits until this is printed. */
  printed(text: string): Promise<void>;
}

async function startDemo(...args: string[]): Promise<Demo> {
  const folder = await createFolder("holdfast-demo-test", serverUser("postgres"));
  const child = Bun.spawn([process.execPath, "scripts/demo.ts", "--quick", ...args], {
    cwd: repository,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, TMPDIR: folder.path },
  });
  let output = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) output += decoder.decode(bytes, { stream: true });
  };
  const reading = Promise.all([read(child.stdout), read(child.stderr)]).catch(() => {});
  return {
    folder: folder.path,
    process: child,
    output: () => output,
    async ended() {
      const status = await child.exited;
      await reading;
      return status;
    },
    async printed(text) {
      await waitFor(`the demo to print "${text}"`, () => output.includes(text) || child.exitCode !== null, 150_000);
      if (!output.includes(text)) throw new Error(`The demo ended with ${child.exitCode}:\n${output}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Commands of processes that have to do with a folder. */
async function processesOf(folder: string): Promise<string[]> {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const commands = ids.map((id) => readFile(`/proc/${id}/cmdline`, "utf8").catch(() => ""));
  return (await Promise.all(commands)).filter((command) => command.includes(folder));
}

async function expectNothingLeft(folder: string): Promise<void> {
  expect(await readdir(folder)).toEqual([]);
  expect(await processesOf(folder)).toEqual([]);
}

describeWith(["postgresql-18", "dist/holdfast"], "scripts/demo", () => {
  test("--once shows WAL received to the last commit, and leaves nothing behind", async () => {
    await using demo = await startDemo("--once");
    expect([await demo.ended(), demo.output()]).toEqual([0, expect.any(String)]);
    const output = demo.output();
    expect(output).toMatch(/status page {4}http:\/\/127\.0\.0\.1:\d+\/\n/);
    expect(output).toMatch(/holdfast_demo is streaming, mode sync/);
    expect(output).toMatch(/takes \d+\.\d\d ms durable on the server alone, \d+\.\d\d ms durable in both places/);
    expect(output).toContain('pgrwl_receiver_state{state="streaming"} 1');
    expect(output).toMatch(/pgrwl_lag_bytes \d+\n[\s\S]*pgrwl_wal_bytes_received_total \d+\n/);
    expect(output).toMatch(/0{7}1[0-9A-F]{16}\.partial {2}1 MiB\n/);
    expect(output).toMatch(/\d+ segments are complete, and equal to the server's byte for byte/);
    expect(output).toMatch(
      /The last committed row is safe: its commit is before (\S+), holdfast has flushed up to \S+\./,
    );
    expect(output).toMatch(/"row \d+ of the demo, [0-9a-f-]{36}"\n {2}is in 0{7}1[0-9A-F]{16}/);
    await expectNothingLeft(demo.folder);
  }, 240_000);

  test("the status page shows the receiver while rows are written", async () => {
    await using demo = await startDemo();
    await demo.printed("Ctrl-C ends it all");
    const [, url = ""] = /status page {4}(\S+)/.exec(demo.output()) ?? [];
    const page = await (await fetch(url)).text();
    expect(page).toContain("<dt>Receiver</dt><dd>streaming</dd>");
    const flushed = async () => {
      const status = await (await fetch(`${url}pgrwl/status`)).json();
      return (status as { stream_status: { last_flush_lsn: string } }).stream_status.last_flush_lsn;
    };
    const before = await flushed();
    await waitFor("more WAL", async () => (await flushed()) !== before);
  }, 240_000);

  test.each(["Starting PostgreSQL", "The agent runs", "Every commit waits", "Received into", "Ctrl-C ends it all"])(
    "interrupted at %j it cleans up",
    async (moment) => {
      await using demo = await startDemo();
      await demo.printed(moment);
      demo.process.kill("SIGINT");
      expect(await demo.ended()).toBe(0);
      expect(demo.output()).toContain("Cleaning up");
      await expectNothingLeft(demo.folder);
    },
    240_000,
  );

  test("it ends when nobody reads on", async () => {
    await using folder = await createFolder("holdfast-demo-test", serverUser("postgres"));
    const command = `${process.execPath} scripts/demo.ts --quick | head -n 1`;
    const options = { cwd: repository, env: { ...process.env, TMPDIR: folder.path }, stderr: "pipe" } as const;
    const piped = Bun.spawn(["sh", "-c", command], options);
    expect(await piped.exited).toBe(0);
    expect(await piped.stderr.text()).toBe("");
    await expectNothingLeft(folder.path);
  });
});

test.each([
  [["--fast"], 'Cannot read the argument "--fast"'],
  [["--barman", "--quick"], "Cannot show Barman with --quick: expected one of --barman and --quick"],
])("the arguments %j are refused", async (args, message) => {
  const child = Bun.spawn(["scripts/demo", ...args], { cwd: repository, stdin: "ignore", stderr: "pipe" });
  expect([await child.exited, (await child.stderr.text()).split("\n")[0]]).toEqual([2, message]);
});
