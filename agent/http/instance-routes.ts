/** What the agent answers for an instance: its worker's answer, or why there is none. */
import type { Context } from "hono";
import type { Log } from "../sdk/index.ts";
import type { AgentStatus, InstanceStatus } from "../system/status.ts";
import type { HttpEnv } from "./connection.ts";
import { line } from "./plain-text.ts";
import { forward, UpstreamError } from "./proxy.ts";

export interface InstanceRoutesDeps {
  status(): AgentStatus;
  /** The unix socket of the instance's worker; undefined when it has no routes or is not up. */
  socketOf(instance: string): string | undefined;
  readonly log?: Log | undefined;
}

/** @param prefix What of the path is the agent's: `/walg`, or empty on the instance's own port. */
export async function answerForInstance(
  c: Context<HttpEnv>,
  name: string,
  prefix: string,
  deps: InstanceRoutesDeps,
): Promise<Response> {
  const socket = deps.socketOf(name);
  if (socket === undefined) return unavailable(c, name, deps.status());
  const onBroken = (cause: unknown) =>
    deps.log?.warn("An instance failed in the middle of an answer", { instance: name, error: messageOf(cause) });
  try {
    return await forward(c.req.raw, { socket, prefix }, c.env?.connection, onBroken);
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    if (!c.req.raw.signal.aborted) {
      deps.log?.warn("Cannot reach the routes of an instance", { instance: name, error: messageOf(error.cause) });
    }
    c.header("Retry-After", "2");
    return line(c, 502, `Cannot reach the routes of ${name}: its worker does not answer, try again`);
  }
}

/** Whether an instance is known to have no routes: before its worker is up, nobody knows. */
export function hasNoRoutes(name: string, { instances }: AgentStatus): boolean {
  const instance = instances.find((candidate) => candidate.name === name);
  return !instance || (!instance.hasRoutes && !isComing(instance));
}

function unavailable(c: Context, name: string, status: AgentStatus): Response {
  const instance = status.instances.find((candidate) => candidate.name === name);
  if (!instance || hasNoRoutes(name, status)) {
    return line(c, 404, `Cannot find ${c.req.path}: ${name} has no routes`);
  }
  const waitMs = (instance.nextRunAt ?? 0) - Date.now();
  const waitSeconds = instance.state === "restarting" && waitMs > 0 ? Math.ceil(waitMs / 1000) : 2;
  c.header("Retry-After", String(Math.min(waitSeconds, 300)));
  return line(c, 503, `Cannot reach the routes of ${name}: it is ${instance.state}, try again`);
}

function isComing({ state }: InstanceStatus): boolean {
  return state === "starting" || state === "restarting";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
