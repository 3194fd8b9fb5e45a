/** Routes that name files, asked for others; and what another user of the machine finds of an agent that runs. */
import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { startAgent } from "../../harness/agent.ts";
import { createFolder } from "../../harness/folders.ts";

const secret = "what no route may give away";

/** As it is written: fetch() would put paths in order first. */
function ask(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = net.connect(port, "127.0.0.1", () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
    );
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}

test("no route gives a file outside of its folder, however its name is written", async () => {
  await using folder = await createFolder("holdfast-paths");
  for (const name of ["wal", "snapshots", "outside"]) await mkdir(join(folder.path, name));
  await writeFile(join(folder.path, "outside", "secret"), secret);
  await using agent = await startAgent(`plugins:
  wal:
    plugin: pgrwl
    config: { directory: ${join(folder.path, "wal")}, slot: x, postgres: { host: 127.0.0.1, port: 1, user: x }, serve: {} }
  prom: { plugin: prombackup, config: { snapshot_dir: ${join(folder.path, "snapshots")}, prometheus: { url: "http://127.0.0.1:1" } } }
`);
  const up = ["../outside/secret", "..%2foutside%2fsecret", "..%5coutside%5csecret", "%2e%2e/outside/secret"];
  const names = [
    ...up,
    ...up.map((name) => `a-b/${name}`),
    join(folder.path, "outside/secret"),
    "..",
    ".",
    "%00",
    "a-b%00",
    "%0d%0aX:y",
  ];
  const paths = names.flatMap((name) => [
    `/wal/wal/${name}`,
    `/wal/api/v1/wal/${name}`,
    `/prom/api/download?name=${name}`,
    `/prom/api/manifest?name=${name}`,
    `/prom/api/digest?name=${name}`,
    `/prom/delete?name=${name}`,
    `/prom/${name}`,
    `/${name}`,
  ]);
  for (const path of paths) {
    const answer = await ask(agent.port, path);
    const status = Number(answer.split(" ")[1]);
    expect([path, answer.includes(secret), /^x: ?y/im.test(answer.split("\r\n\r\n")[0] ?? "")]).toEqual([
      path,
      false,
      false,
    ]);
    // 404, 400, a redirect within, or a page that is about no file.
    expect([path, status < 500 || status === 503]).toEqual([path, true]);
  }
  expect(await readFile(join(folder.path, "outside", "secret"), "utf8")).toBe(secret);
}, 120_000);

test("the sockets of the instances are in a folder that only the agent's user may enter", async () => {
  await using runtime = await createFolder("holdfast-runtime");
  await using snapshots = await createFolder("holdfast-snapshots");
  await using agent = await startAgent(
    `plugins:
  prom: { plugin: prombackup, config: { snapshot_dir: ${snapshots.path}, prometheus: { url: "http://127.0.0.1:1" } } }
`,
    { env: { RUNTIME_DIRECTORY: runtime.path } },
  );
  const [name = ""] = await readdir(runtime.path);
  const { mode } = await stat(join(runtime.path, name));
  expect((mode & 0o777).toString(8)).toBe("700");
  await agent.stop();
  expect(await readdir(runtime.path)).toEqual([]);
}, 120_000);
