/** Rounds of faults at random moments, each followed by a check; every few rounds the primary is lost with all its files. */
import { type Chance, chanceOf } from "./random.ts";
import { KillScene, segmentSizeBytes } from "./scene.ts";

type Fault = (scene: KillScene, chance: Chance) => Promise<void>;

const restartAgent = async (scene: KillScene, signal: NodeJS.Signals) => {
  scene.signalAgent(signal);
  await scene.agentEnded();
  await scene.startAgent();
};

/** Each leaves everything running. */
const faults = {
  "kill -9 of the agent": (scene) => restartAgent(scene, "SIGKILL"),
  "SIGTERM to the agent": (scene) => restartAgent(scene, "SIGTERM"),
  "a stop of the agent's process for a moment": async (scene, chance) => {
    scene.signalAgent("SIGSTOP");
    await Bun.sleep(chance.integer(1, 300));
    scene.signalAgent("SIGCONT");
  },
  "a crash of the server": async (scene) => {
    await scene.crashServer();
    await scene.startServer();
  },
  "a shutdown of the server": async (scene) => {
    await scene.stopServer();
    await scene.startServer();
  },
  "a crash of the server while the agent is dead": async (scene) => {
    scene.signalAgent("SIGKILL");
    await scene.agentEnded();
    await scene.crashServer();
    await scene.startServer();
    await scene.startAgent();
  },
  "kill -9 of both": async (scene) => {
    const crashed = scene.crashServer();
    scene.signalAgent("SIGKILL");
    await Promise.all([crashed, scene.agentEnded()]);
    await scene.startServer();
    await scene.startAgent();
  },
  "the end of the walsender": (scene) => scene.terminateSender(),
  "a reset of the connection": async (scene) => {
    for (const connection of scene.connections) connection.cut("reset");
  },
  "an end of the connection": async (scene) => {
    for (const connection of scene.connections) connection.cut("end");
  },
  "a stall towards the server, then a reset": async (scene, chance) => {
    const { connections } = scene;
    for (const connection of connections) connection.stall("toServer");
    await Bun.sleep(chance.integer(1, 200));
    for (const connection of connections) connection.cut("reset");
  },
  "a stall towards the agent, then kill -9 of it": async (scene, chance) => {
    for (const connection of scene.connections) connection.stall("toClient");
    await Bun.sleep(chance.integer(1, 200));
    await restartAgent(scene, "SIGKILL");
  },
  "a stall while it catches up, then kill -9 of it": async (scene, chance) => {
    await stallWhileCatchingUp(scene, chance);
    await restartAgent(scene, "SIGKILL");
  },
  "a stall while it catches up, then a crash of the server": async (scene, chance) => {
    await stallWhileCatchingUp(scene, chance);
    await scene.crashServer();
    await scene.startServer();
  },
} as const satisfies Record<string, Fault>;

/** Somewhere between the login and the middle of a segment. */
async function stallWhileCatchingUp(scene: KillScene, chance: Chance): Promise<void> {
  scene.stallWhileCatchingUp(chance.integer(1000, segmentSizeBytes / 2));
  await Bun.sleep(chance.integer(100, 300));
  scene.endStalls();
}

export interface Rounds {
  readonly seed: number;
  /** More until more segments than that were compared. */
  readonly count: number;
  readonly version: number;
  /** Rounds from one loss of the primary to the next. */
  readonly roundsBetweenDisasters: number;
  /** Told of each round when it begins. */
  readonly onRound?: (round: number, fault: string) => void;
}

export interface RoundsResult {
  /** How often each fault was. */
  readonly faults: Readonly<Record<string, number>>;
  readonly disasters: number;
  readonly acknowledged: number;
  /** Segments that were compared with the server's. */
  readonly segments: number;
}

/** @throws {Error} Something was lost or is not what it must be; the message has the seed and the round. */
export async function runRounds(rounds: Rounds): Promise<RoundsResult> {
  const { seed, count, version, roundsBetweenDisasters, onRound } = rounds;
  const chance = chanceOf(seed);
  const counts: Record<string, number> = {};
  let disasters = 0;
  await using scene = await KillScene.start(version);
  let left: string[] = [];
  // How much WAL there is depends on the machine and the draw: where it was too little there are more rounds.
  const isLast = (round: number) => round >= count && (scene.comparedCount > count || round >= 4 * count);
  for (let round = 1, isOver = false; !isOver; round++) {
    if (left.length === 0) left = chance.shuffled(Object.keys(faults));
    const name = left.pop() as keyof typeof faults;
    counts[name] = (counts[name] ?? 0) + 1;
    onRound?.(round, name);
    try {
      await approach(scene, chance);
      await (faults[name] as Fault)(scene, chance);
      await scene.goOn();
      await scene.check();
      isOver = isLast(round);
      if (round % roundsBetweenDisasters === 0 || isOver) {
        disasters += 1;
        await approach(scene, chance);
        if (chance.isLess(0.75)) await stallWhileCatchingUp(scene, chance);
        await scene.disaster({ killsAgent: chance.isLess(0.5) });
        await scene.goOn();
      }
    } catch (cause) {
      const message = `Round ${round} of ${count}, ${name}, seed ${seed}, PostgreSQL ${version}`;
      throw new Error(`${message}: ${cause instanceof Error ? cause.message : cause}\n${scene.lastWords()}`, { cause });
    }
  }
  return { faults: counts, disasters, acknowledged: scene.acknowledgedCount, segments: scene.comparedCount };
}

/** To a random moment of a random load. */
async function approach(scene: KillScene, chance: Chance): Promise<void> {
  if (chance.isLess(0.3)) await scene.switchWal();
  if (chance.isLess(0.4)) scene.writeLongRecord(chance.integer(10_000, 4_000_000));
  // Not a wait for something: the moment itself is what is tried.
  await Bun.sleep(chance.integer(0, 300));
}
