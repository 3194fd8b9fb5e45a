/** A script that runs while a test goes on, with all that it started. */

export interface Background extends AsyncDisposable {
  /** What it printed so far, on both. */
  output(): string;
  /** To it and all that it started. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM; SIGKILL after 15 seconds. @returns The exit status. */
  stop(): Promise<number>;
}

/** @param child Spawned with `detached: true`: it leads a process group. */
export function backgroundOf(child: Bun.Subprocess<"ignore", "pipe", "pipe">): Background {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const bytes of stream) output += new TextDecoder().decode(bytes);
    })().catch(() => {});
  }
  const signal = (name: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, name);
  };
  const stop = async () => {
    signal("SIGTERM");
    const timer = setTimeout(() => signal("SIGKILL"), 15_000);
    const status = await child.exited;
    clearTimeout(timer);
    return status;
  };
  return { output: () => output, signal, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}
