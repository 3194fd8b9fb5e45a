import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment, connectServiceManager, connectSocket, socketAddress } from "../../../agent/system/notify.ts";
import { receiveDatagrams } from "../../harness/datagrams.ts";
import { waitFor } from "../../harness/wait.ts";

const notifyModule = new URL("../../../agent/system/notify.ts", import.meta.url).pathname;

const libsystemdScript = `import { connectSystemd } from ${JSON.stringify(notifyModule)}; process.exit(connectSystemd() ? 0 : 1)`;
const hasLibsystemd = Bun.spawnSync([process.execPath, "-e", libsystemdScript]).exitCode === 0;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-notify-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs a script in a process that a service manager would have started; `connect` is what it may use to reach it. */
async function runService(path: string, connect: "connectSystemd" | "connectSocket", script: string) {
  const prelude = `
    import { connectServiceManager, connectSocket, connectSystemd } from ${JSON.stringify(notifyModule)};
    const manager = connectServiceManager(process.env, ${connect});`;
  const env = { ...process.env, NOTIFY_SOCKET: path, WATCHDOG_USEC: "40000" };
  const child = Bun.spawn([process.execPath, "-e", prelude + script], { env, stdout: "pipe", stderr: "inherit" });
  return { output: await new Response(child.stdout).text(), exitCode: await child.exited };
}

const monotonicNow = async () => {
  const uptime = await Bun.file("/proc/uptime").text();
  return Number(uptime.split(" ")[0]) * 1e6;
};

for (const connect of ["connectSystemd", "connectSocket"] as const) {
  const reason = connect === "connectSystemd" && !hasLibsystemd ? " (skipped: no libsystemd.so.0)" : "";
  for (const kind of ["path", "abstract"] as const) {
    test.skipIf(reason !== "")(
      `a life told through ${connect} to a socket by ${kind} arrives in order${reason}`,
      async () => {
        const path = kind === "path" ? join(folder, connect) : `@holdfast-test-${process.pid}-${connect}`;
        using socket = receiveDatagrams(path);
        const { exitCode } = await runService(
          path,
          connect,
          `manager.ready("5 instances");
         manager.reloading();
         manager.status("two\\nlines, ünicode");
         manager.ready();
         manager.stopping("bye");`,
        );
        expect(exitCode).toBe(0);
        const [ready, reloading, status, again, stopping, ...rest] = socket.received();
        expect(ready).toBe("READY=1\nSTATUS=5 instances");
        expect(status).toBe("STATUS=two lines, ünicode");
        expect([again, stopping, ...rest]).toEqual(["READY=1", "STOPPING=1\nSTATUS=bye"]);
        const moment = Number(/^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading ?? "")?.[1]);
        // /proc/uptime counts suspended time too, which CI machines have none of.
        expect(Math.abs((await monotonicNow()) - moment)).toBeLessThan(60e6);
      },
    );
  }
}

test("watchdog messages come at half the time asked for, hold no process open and end with stopping", async () => {
  const path = join(folder, "watchdog");
  using socket = receiveDatagrams(path);
  const service = runService(
    path,
    "connectSocket",
    `const startedAt = performance.now();
     manager.startWatchdog();
     manager.startWatchdog();
     setTimeout(() => { manager.stopping(); console.log(performance.now() - startedAt); }, 1500);`,
  );
  // A socket that nobody reads is full after ten datagrams.
  await waitFor("the service's end", () => socket.received().includes("STOPPING=1"));
  const { exitCode, output } = await service;
  expect(exitCode).toBe(0);
  const datagrams = socket.received();
  expect(datagrams.at(-1)).toBe("STOPPING=1");
  const beats = datagrams.filter((datagram) => datagram === "WATCHDOG=1").length;
  expect(beats).toBeGreaterThanOrEqual(4);
  expect(beats).toBeLessThanOrEqual(Number(output) / 20 + 2);
});

test("a watchdog that watches another process gets no messages", async () => {
  const path = join(folder, "other");
  using socket = receiveDatagrams(path);
  const manager = connectServiceManager(
    { NOTIFY_SOCKET: path, WATCHDOG_USEC: "10000", WATCHDOG_PID: "1" },
    connectSocket,
  );
  manager.startWatchdog();
  manager.ready();
  expect(await waitFor("a datagram", () => socket.received().length > 0 && socket.received())).toEqual(["READY=1"]);
});

test("without a service manager nothing is loaded and nothing happens", () => {
  const manager = connectServiceManager({ WATCHDOG_USEC: "10000" }, () => {
    throw new Error("loaded");
  });
  manager.ready();
  manager.reloading();
  manager.status("s");
  manager.startWatchdog();
  manager.stopping();
});

test("a service manager that cannot be reached harms nobody", () => {
  const manager = connectServiceManager({ NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "10000" }, () => undefined);
  manager.ready();
  manager.reloading();
  manager.startWatchdog();
  manager.stopping();
});

test("a socket that is gone, or an address of another kind, harms nobody", () => {
  for (const path of [join(folder, "nobody"), "vsock:2:1234", "relative", "@", `/${"x".repeat(120)}`]) {
    expect(() => connectServiceManager({ NOTIFY_SOCKET: path }, connectSocket).ready()).not.toThrow();
  }
});

test("an abstract address begins with a zero byte and has no ending", () => {
  expect([...(socketAddress("@ab") ?? [])].slice(2)).toEqual([0, 97, 98]);
  expect([...(socketAddress("/ab") ?? [])].slice(2)).toEqual([47, 97, 98, 0]);
});

test("children do not get what the service manager meant for this process", () => {
  const env = { PATH: "/bin", NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "1", WATCHDOG_PID: "2", LISTEN_FDS: "1" };
  expect(childEnvironment(env)).toEqual({ PATH: "/bin" });
  expect(env.NOTIFY_SOCKET).toBe("/n");
});
