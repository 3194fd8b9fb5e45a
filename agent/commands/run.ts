import { withRuntimeDir } from "../host/runtime-dir.ts";
import { refuseSocketActivation } from "../system/activation.ts";
import { gather } from "../system/gather.ts";
import { connectServiceManager } from "../system/notify.ts";
import { onReload, onStop } from "../system/signals.ts";
import { Agent, ConfigError, type ReadConfig } from "./agent.ts";
import { type Command, UsageError } from "./command.ts";
import { configFlag, overrideFlags, readConfig, reportProblems } from "./configuration.ts";

export const command: Command = {
  name: "run",
  summary: "Runs the agent until SIGTERM or SIGINT.",
  flags: [configFlag, ...overrideFlags],
  details: `Signals: SIGUSR1 and SIGHUP reload the configuration, SIGTERM and SIGINT stop the agent.
Exit status: 0 stopped, 1 it could not listen or failed otherwise, 2 wrong command line or configuration.`,
  async run(flags) {
    return await runAgent(() => readConfig(flags));
  },
};

/**
 * Runs the agent until a signal ends it.
 * @param read Reads its configuration, now and at each reload.
 * @returns The exit status. @throws {UsageError} It was started by a socket. @throws {Error} It cannot listen.
 */
export async function runAgent(read: ReadConfig): Promise<number> {
  const refused = refuseSocketActivation();
  if (refused) throw new UsageError(refused);
  const serviceManager = connectServiceManager();
  return await withRuntimeDir(async (runtimeDir) => {
    const agent = new Agent(read, serviceManager, runtimeDir);
    try {
      await agent.start();
    } catch (error) {
      if (error instanceof ConfigError) return reportProblems(error.problems);
      throw error;
    }
    onReload(gather(() => void agent.reload()));
    const stopped = Promise.withResolvers<void>();
    onStop(() => stopped.resolve());
    await stopped.promise;
    await agent.stop();
    return 0;
  });
}
