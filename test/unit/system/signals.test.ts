import { expect, test } from "bun:test";

const signalsModule = JSON.stringify(new URL("../../../agent/system/signals.ts", import.meta.url).pathname);

/** A process that has taken its signals but is not ready before it reads a line; it prints what it is told. */
function start(script: string) {
  const program = `
    import { endOnStop, onReload, onStop } from ${signalsModule};
    const lines = (async function* () { for await (const line of console) yield line; })();
    const nextLine = () => lines.next();
    process.stdout.write("started\\n");
    ${script}`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    kill: (...signals: NodeJS.Signals[]) => {
      for (const signal of signals) process.kill(child.pid, signal);
    },
    say() {
      child.stdin.write("go\n");
      child.stdin.flush();
    },
    async until(expected: string) {
      while (!text.includes(expected)) {
        const { value, done } = await output.read();
        if (done) throw new Error(`Ended before ${JSON.stringify(expected)}: ${JSON.stringify(text)}`);
        text += value;
      }
      return text;
    },
    exited: child.exited,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** Ready at the first line of input; a second line makes it print "listening", so that what came before was handled. */
const service = `
  await nextLine();
  onReload(() => process.stdout.write("reload\\n"));
  onStop((signal) => process.stdout.write(signal + "\\n"));
  process.stdout.write("ready\\n");
  for (;;) { await nextLine(); process.stdout.write("listening\\n"); }`;

test("signals before the agent is ready are kept: reloads as one, the stop as one", async () => {
  // Signals and stdin come by different ways: these handlers, called after the ones under test, tell of the arrival.
  const tell = `for (const name of ["HUP", "USR1", "TERM"]) process.on("SIG" + name, () => process.stdout.write("took " + name + "\\n"));`;
  await using child = start(tell + service);
  await child.until("started");
  child.kill("SIGHUP", "SIGUSR1", "SIGHUP", "SIGTERM");
  for (const name of ["HUP", "USR1", "TERM"]) await child.until(`took ${name}\n`);
  child.say();
  const output = await child.until("ready");
  expect(output.replace(/took .*\n/g, "")).toBe("started\nreload\nSIGTERM\nready\n");
});

test("SIGUSR1 and SIGHUP reload a running agent, which lives on", async () => {
  await using child = start(service);
  child.say();
  await child.until("ready");
  child.kill("SIGHUP");
  await child.until("ready\nreload\n");
  child.kill("SIGUSR1");
  await child.until("ready\nreload\nreload\n");
  child.say();
  await child.until("listening");
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("a second %s ends the process at once", async (signal, status) => {
  await using child = start(service);
  child.say();
  await child.until("ready");
  child.kill("SIGTERM");
  await child.until("SIGTERM");
  child.kill(signal);
  expect(await child.exited).toBe(status);
});

test("a second stop ends also a process that never gets ready", async () => {
  await using child = start(service);
  await child.until("started");
  child.kill("SIGTERM", "SIGINT");
  expect([130, 143]).toContain(await child.exited);
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s ends a command that has nothing to tidy", async (signal, status) => {
  await using child = start(`endOnStop(); process.stdout.write("ready\\n"); await nextLine();`);
  await child.until("ready");
  child.kill(signal);
  expect(await child.exited).toBe(status);
});

test("a stop that came early ends a command as soon as it has nothing to tidy", async () => {
  await using child = start(`await nextLine(); endOnStop(); await nextLine();`);
  await child.until("started");
  child.kill("SIGTERM");
  child.say();
  expect(await child.exited).toBe(143);
});

test("SIGPIPE harms nobody", async () => {
  await using child = start(service);
  child.say();
  await child.until("ready");
  child.kill("SIGPIPE");
  child.say();
  await child.until("listening");
});
