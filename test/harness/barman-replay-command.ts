/**
 * The stand-in as an executable, told what to do by its environment:
 * `BARMAN_REPLAY_VERSION`, `BARMAN_REPLAY_SCENARIOS` (comma-separated) choose the recordings;
 * `BARMAN_REPLAY_LOG` is a file that gets a line for each start: time in ms, process id, arguments;
 * `BARMAN_REPLAY_HANG` is a regular expression on the arguments; such a command hangs as `BARMAN_REPLAY_MANNER` says:
 * `sleep`, `ignore-term` (does not heed SIGTERM), `grandchild` (ends, but its child holds stdout);
 * `BARMAN_REPLAY_NOISE` is a line printed before the answer; `BARMAN_REPLAY_DELAY_MS` makes each answer late.
 */
import { appendFileSync } from "node:fs";
import { reply } from "./barman-replay.ts";

const args = process.argv.slice(2);
const {
  BARMAN_REPLAY_VERSION: version = "3.4.0",
  BARMAN_REPLAY_SCENARIOS: scenarios = "",
  BARMAN_REPLAY_LOG: log,
  BARMAN_REPLAY_HANG: hang,
  BARMAN_REPLAY_MANNER: manner = "sleep",
  BARMAN_REPLAY_NOISE: noise,
  BARMAN_REPLAY_DELAY_MS: delayMs = "0",
  TZ: timeZone,
} = process.env;

if (log) appendFileSync(log, `${Date.now()} ${process.pid} ${args.join(" ")}\n`);
const options = { version, scenarios: scenarios.split(",").filter(Boolean), timeZone };
const { stdout, stderr, exitCode } = reply(options, args);
if (exitCode === undefined || (hang && new RegExp(hang).test(args.join(" ")))) await beStuck();
await Bun.sleep(Number(delayMs));
process.stderr.write(stderr);
if (noise) process.stdout.write(`${noise}\n`);
process.stdout.write(stdout);
process.exitCode = exitCode ?? 1;

async function beStuck(): Promise<void> {
  if (manner === "ignore-term") process.on("SIGTERM", () => {});
  if (manner === "grandchild") {
    const child = Bun.spawn(["sleep", "3600"], { stdio: ["ignore", "inherit", "inherit"] });
    if (log) appendFileSync(log, `${Date.now()} ${child.pid} grandchild\n`);
    process.exit(0);
  }
  await new Promise(() => setInterval(() => {}, 3_600_000));
}
