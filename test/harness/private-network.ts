/** A network of its own for processes that want ports which the machine may need: only its own loopback is in it. */

export interface PrivateNetwork extends AsyncDisposable {
  /** `command` as root has to start it for running in there; its process is the command's own. */
  inside(command: readonly string[]): string[];
  /** What `curl` gets from in there. @throws {Error} No answer, or one with another status than 2xx. */
  get(url: string): Promise<string>;
}

/** Only root can make one. */
export async function createPrivateNetwork(): Promise<PrivateNetwork> {
  const holder = Bun.spawn(["unshare", "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  });
  const end = async () => {
    holder.kill("SIGKILL");
    await holder.exited;
  };
  const { value } = await holder.stdout.getReader().read();
  if (new TextDecoder().decode(value) !== "ready\n") {
    await end();
    throw new Error(`Cannot make a network: ${await new Response(holder.stderr).text()}`);
  }
  const inside = (command: readonly string[]) => ["nsenter", `--net=/proc/${holder.pid}/ns/net`, "--", ...command];
  return {
    inside,
    async get(url) {
      const child = Bun.spawn(inside(["curl", "-fsS", "--max-time", "10", "--noproxy", "*", url]), {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      if ((await child.exited) !== 0) throw new Error(`Cannot get ${url}: ${stderr}`);
      return stdout;
    },
    [Symbol.asyncDispose]: end,
  };
}
