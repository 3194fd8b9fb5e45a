/** A connection may be silent while a plugin's answer is on its way, and no longer: each one costs file descriptors. */
import { expect, test } from "bun:test";
import { createApp } from "../../../agent/http/app.ts";
import { forward } from "../../../agent/http/proxy.ts";
import { Scene } from "./support.ts";

/** A connection of a client that notes what it is told about silence. */
const telling = (told: string[]) => ({
  clientAddress: "127.0.0.1",
  secure: false,
  authenticated: false,
  allowSilence: () => told.push("silence"),
  endSilence: () => told.push("no more"),
});

test.each([
  ["a body", () => new Response("x".repeat(2 ** 20))],
  ["none", () => new Response(null, { status: 204 })],
])("the silence that a plugin's answer needs ends with it, where it has %s", async (_, answer) => {
  await using scene = await Scene.open();
  scene.worker(answer);
  const told: string[] = [];
  const connection = telling(told);
  const target = { socket: scene.path("worker.sock"), prefix: "/walg" };
  const response = await forward(new Request("http://localhost/walg/"), target, connection, () => {});
  if (response.body !== null) expect(told).toEqual(["silence"]);
  await response.arrayBuffer();
  expect(told).toEqual(["silence", "no more"]);
});

test("a reload may take longer than a connection may else be silent", async () => {
  await using scene = await Scene.open();
  const told: string[] = [];
  const connection = telling(told);
  const reload = async () => {
    told.push("reload");
    return { successful: true, message: "Reloaded." };
  };
  const request = new Request("http://localhost/-/reload", { method: "POST" });
  const response = await createApp(scene.deps({ reload })).fetch(request, { connection });
  expect([response.status, told]).toEqual([200, ["silence", "reload", "no more"]]);
});
