/** A plugin's routes behind an instance's own address: the way that requests take in the agent, through the worker's socket. */
import { join } from "node:path";
import { Hono } from "hono";
import { Routes } from "../../agent/host/routes.ts";
import type { HttpEnv } from "../../agent/http/connection.ts";
import { answerForInstance } from "../../agent/http/instance-routes.ts";
import { openListener } from "../../agent/http/listeners.ts";
import type { AgentStatus } from "../../agent/system/status.ts";
import { createFolder } from "./folders.ts";

const silent = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

export interface InstanceListener extends AsyncDisposable {
  readonly url: string;
}

export async function listenForInstance(name: string, routes: Hono): Promise<InstanceListener> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await createFolder("holdfast-runtime"));
  const socket = join(folder.path, "routes.sock");
  const routed = new Routes(socket, routes, silent);
  cleanup.defer(() => routed.stop());
  const app = new Hono<HttpEnv>();
  const status = () => ({ instances: [] }) as unknown as AgentStatus;
  app.all("*", (c) => answerForInstance(c, name, "", { status, socketOf: () => socket }));
  const listener = openListener({ host: "127.0.0.1", port: 0 }, app.fetch, { keepsLength: true });
  cleanup.defer(() => listener.stop(0));
  const owned = cleanup.move();
  return { url: listener.url, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
