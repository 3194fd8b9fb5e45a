import { expect, test } from "bun:test";
import { monotonicMicroseconds, writeWhole } from "../../../agent/system/libc.ts";

const libcModule = JSON.stringify(new URL("../../../agent/system/libc.ts", import.meta.url).pathname);

function run(script: string) {
  const program = `import { divertStdout, reap } from ${libcModule};\n${script}`;
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, "-e", program]);
  return { stdout: stdout.toString(), stderr: stderr.toString(), exitCode };
}

test("a diverted stdout goes to stderr, and the real one is still there", () => {
  const { stdout, stderr } = run(`
    console.log("before");
    const print = divertStdout();
    console.log("console");
    process.stdout.write("stream\\n");
    Bun.spawnSync(["sh", "-c", "echo child"], { stdout: "inherit" });
    print("metrics\\n");`);
  expect(stdout).toBe("before\nmetrics\n");
  expect(stderr.split("\n").sort()).toEqual(["", "child", "console", "stream"]);
});

test("reap() takes the status of an orphan and says when there is nothing left to take", () => {
  // A process group's child that was started outside Bun.spawn: nobody but reap() waits for it.
  const { stdout, stderr } = run(`
    import { dlopen } from "bun:ffi";
    import { existsSync, readFileSync } from "node:fs";
    const { posix_spawn } = dlopen("libc.so.6", {
      posix_spawn: { args: ["ptr", "cstring", "ptr", "ptr", "ptr", "ptr"], returns: "int" },
    }).symbols;
    const { ptr } = await import("bun:ffi");
    const path = Buffer.from("/bin/sh\\0"), name = Buffer.from("sh\\0"), flag = Buffer.from("-c\\0"), code = Buffer.from("exec sleep 60\\0");
    const argv = new BigUint64Array([ptr(name), ptr(flag), ptr(code), 0].map(BigInt));
    const pid = new Int32Array(1);
    posix_spawn(pid, path, null, null, argv, new BigUint64Array(1));
    const state = () => /^State:\\s+(\\w)/m.exec(readFileSync("/proc/" + pid[0] + "/status", "utf8"))?.[1];
    const early = reap(pid[0]);
    process.kill(pid[0], "SIGKILL");
    while (state() !== "Z") await Bun.sleep(5);
    console.log(early, reap(pid[0]), existsSync("/proc/" + pid[0]), reap(pid[0]));`);
  expect(stderr).toBe("");
  expect(stdout).toBe("false true false true\n");
});

test("monotonicMicroseconds() counts from the machine's start, not the process's", async () => {
  const uptimeSeconds = Number((await Bun.file("/proc/uptime").text()).split(" ")[0]);
  expect(Math.abs(Number(monotonicMicroseconds()) / 1e6 - uptimeSeconds)).toBeLessThan(60);
});

test("writeWhole() waits for a reader that is slow, and cuts nothing", () => {
  const written: number[] = [];
  let calls = 0;
  writeWhole(
    1,
    Uint8Array.from({ length: 100 }, (_, index) => index),
    (_, bytes) => {
      if (calls++ % 2 === 0) throw Object.assign(new Error("full"), { code: "EAGAIN" });
      written.push(...bytes.subarray(0, 30));
      return Math.min(30, bytes.length);
    },
  );
  expect(written).toEqual(Array.from({ length: 100 }, (_, index) => index));
});

test("writeWhole() tells of a reader that is gone", () => {
  const gone = () => {
    throw Object.assign(new Error("EPIPE: broken pipe"), { code: "EPIPE" });
  };
  expect(() => writeWhole(1, new Uint8Array(1), gone)).toThrow("Cannot write the output");
});
