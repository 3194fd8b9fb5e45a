/** What systemd would do with the packaged unit, in a root where it does not run. */
import { join } from "node:path";
import type { DebianRoot } from "../../harness/debian-root.ts";
import { freePort } from "../../harness/ports.ts";
import { waitFor } from "../../harness/wait.ts";

export interface Service extends AsyncDisposable {
  readonly url: string;
  readonly running: boolean;
  /** Runs the `ExecReload=` lines until one fails. @returns What the failed one wrote, or undefined. */
  reload(): Promise<string | undefined>;
  /** The text of `/metrics`. */
  scrape(): Promise<string>;
  /** SIGTERM. @returns The exit status. */
  stop(): Promise<number>;
}

/** Runs `ExecStart=` as the unit's user, on a free port, and waits until it is ready. */
export async function startService(root: DebianRoot): Promise<Service> {
  const unit = await Bun.file(join(root.path, "usr/lib/systemd/system/holdfast.service")).text();
  const settings = (key: string) =>
    [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);
  const [user = ""] = settings("User");
  const url = `http://127.0.0.1:${await freePort()}`;
  const [start = ""] = settings("ExecStart");
  const child = Bun.spawn(
    root.inside([...start.split(" "), `--web.listen-address=${url.slice(7)}`], `${user}:${user}`),
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      env: { PATH: process.env.PATH ?? "", HOME: "/var/lib/holdfast" },
    },
  );
  const stderr = new Response(child.stderr).text();
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const stop = async () => {
    child.kill("SIGTERM");
    return await child.exited;
  };
  try {
    await waitFor("the service to be ready", async () => !isRunning() || (await fetch(`${url}/-/ready`)).ok, 60_000);
    if (!isRunning()) throw new Error(`The service ended before it was ready: ${await stderr}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    get running() {
      return isRunning();
    },
    async reload() {
      for (const line of settings("ExecReload")) {
        const command = ["sh", "-c", line.replaceAll("$MAINPID", String(child.pid))];
        const { status, stderr: complaint } = await root.run(command, { user: `${user}:${user}` });
        if (status !== 0) return complaint;
      }
      return undefined;
    },
    scrape: async () => await (await fetch(`${url}/metrics`)).text(),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}
