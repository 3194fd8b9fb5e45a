/** The environment and the user that wal-g runs with. */
import type { Log, Run } from "holdfast";
import type { Environment } from "../common/postgres/conninfo.ts";

/** S3 debug logging goes to stdout and ruins the JSON. */
const logLevels = ["WALG_LOG_LEVEL", "S3_LOG_LEVEL"];

/**
 * The agent's environment with the instance's own on top, less what would spoil wal-g's answers.
 * @param log Is told the names of what was removed, never the values.
 */
export function commandEnvironment(
  inherited: Environment,
  own: Readonly<Record<string, string>>,
  log: Log,
): Environment {
  const environment = { ...inherited, ...own };
  const removed = logLevels.filter((name) => environment[name] !== undefined);
  if (removed.length > 0)
    log.warn("Hiding variables from wal-g that would mix its log into its answers", { variables: removed.join(" ") });
  // Our questions would count among the backups' own statistics.
  for (const name of [...removed, "WALG_STATSD_ADDRESS"]) delete environment[name];
  if (environment.WALG_LOG_DESTINATION !== undefined) environment.WALG_LOG_DESTINATION = "stderr";
  return environment;
}

/** What stands before a command, and in its environment, to run it as another user. */
export interface Identity {
  readonly prefix: readonly string[];
  readonly environment: Environment;
}

/**
 * How to become a user. setpriv replaces itself by the command, so that the process group stays one.
 * @throws {Error} There is no such user, or the agent is not root and may not become it.
 */
export async function identityOf(user: string | undefined, agentUserId: number, run: Run): Promise<Identity> {
  if (user === undefined) return { prefix: [], environment: {} };
  const { stdout } = await run(["getent", "passwd", user], { timeoutMs: 10_000, okExitCodes: [0, 2] });
  const [name, , userId, groupId, , home] = stdout.trim().split(":");
  if (!name || !userId || !groupId)
    throw new Error(`Cannot run wal-g as ${JSON.stringify(user)}: there is no such user`);
  if (Number(userId) === agentUserId) return { prefix: [], environment: {} };
  if (agentUserId !== 0)
    throw new Error(`Cannot run wal-g as ${JSON.stringify(user)}: run the agent as root or as ${user}`);
  const prefix = ["setpriv", `--reuid=${userId}`, `--regid=${groupId}`, "--init-groups", "--"];
  return { prefix, environment: { HOME: home, USER: name, LOGNAME: name } };
}
