/** A page of another site whose name was pointed at this machine, and a browser on this machine that shows it. */
import { expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import net from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { startAgent } from "../../harness/agent.ts";
import { createFolder } from "../../harness/folders.ts";
import { waitFor } from "../../harness/wait.ts";

const snapshot = "20260101T000000Z-0123456789abcdef";

/** The status of a POST that a form makes. */
function post(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const body = `name=${snapshot}`;
  const lines = Object.entries({
    ...headers,
    "Content-Type": "application/x-www-form-urlencoded",
    "Content-Length": String(body.length),
    Connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = net.connect(port, "127.0.0.1", () =>
      socket.write(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`),
    );
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(answer.split(" ")[1])));
  });
}

test("another site's name that leads here changes nothing: no snapshot is deleted, nothing is reloaded", async () => {
  await using folder = await createFolder("holdfast-rebinding");
  await mkdir(join(folder.path, snapshot));
  await using agent = await startAgent(`enable_reload: true
plugins:
  prom: { plugin: prombackup, config: { snapshot_dir: ${folder.path}, prometheus: { url: "http://127.0.0.1:1" } } }
`);
  await waitFor("the routes of prom", async () => (await agent.fetch("/prom/")).ok);
  const from = (host: string, more = {}) => ({ Host: host, Origin: `http://${host}`, ...more });
  const evil = `evil.example:${agent.port}`;
  expect(await post(agent.port, "/prom/delete", from(evil))).toBe(403);
  expect(await post(agent.port, "/-/reload", from(evil))).toBe(403);
  expect(await post(agent.port, "/-/reload", from(`localhost.evil.example:${agent.port}`))).toBe(403);
  expect(await post(agent.port, "/-/reload", from(`127.0.0.1.evil.example:${agent.port}`))).toBe(403);
  expect(await readdir(folder.path)).toContain(snapshot);

  for (const host of ["localhost", "127.0.0.1", "[::1]", "prom.localhost", hostname()])
    expect([host, await post(agent.port, "/-/reload", from(`${host}:${agent.port}`))]).toEqual([host, 200]);
  // A proxy with TLS in front, of which the browser tells, and a program.
  expect(await post(agent.port, "/-/reload", from("backup.example", { "Sec-Fetch-Site": "same-origin" }))).toBe(200);
  expect(await post(agent.port, "/-/reload", { Host: "backup.example" })).toBe(200);
  expect(await post(agent.port, "/prom/delete", from(`localhost:${agent.port}`))).toBe(303);
  expect(await readdir(folder.path)).not.toContain(snapshot);
}, 120_000);
