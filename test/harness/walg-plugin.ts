/** The plugin under test, with a stand-in for wal-g: one of each a test. */
import { afterEach, beforeEach } from "bun:test";
import { createRun, type LogLine, type TestInstance, testPlugin } from "../../agent/sdk/index.ts";
import walg from "../../plugins/walg/index.ts";
import { samplesOf } from "./walg-page.ts";
import { StandIn } from "./walg-stand-in.ts";

/** The moment at which the clock stands: the one of the specification's examples. */
export const now = () => Date.parse("2026-01-02T12:00:00Z");

/** Registers the hooks of a test file; its members hold for the test that runs. */
export class WalgUnderTest {
  #standIn: StandIn | undefined;
  readonly #instances: TestInstance[] = [];

  constructor() {
    beforeEach(async () => {
      this.#standIn = await StandIn.create();
    });
    afterEach(async () => {
      for (const instance of this.#instances.splice(0)) await instance.stop();
      await this.#standIn?.remove();
    });
  }

  get standIn(): StandIn {
    if (!this.#standIn) throw new Error("There is a stand-in during tests only");
    return this.#standIn;
  }

  async plugin(config: Record<string, unknown> = {}, clock: () => number = now): Promise<TestInstance> {
    const instance = await testPlugin(walg, { config: this.standIn.config(config), now: clock });
    this.#instances.push(instance);
    return instance;
  }
}

/** Starts the schedules, as the agent does; the returned function stops them and waits. */
export function start(test: TestInstance): () => Promise<void> {
  const stopping = new AbortController();
  const work = test.instance.start?.({ signal: stopping.signal, run: createRun(stopping.signal) });
  return async () => {
    stopping.abort();
    await work;
  };
}

/** One sample of the page as it is now. */
export async function value(test: TestInstance, key: string): Promise<number | undefined> {
  return samplesOf(await test.text())[key];
}

export function warnings(logs: readonly LogLine[]): LogLine[] {
  return logs.filter(({ level }) => level === "warn");
}

export const listErrors = 'walg_errors_total{error_type="command_failed",operation="backup-list"}';
export const listSuccess = 'walg_scrape_success{operation="backup-list"}';
