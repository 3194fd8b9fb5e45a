/** One instance: the receiving thread, and what the page tells of it. */
import type { CollectContext, PluginInstance, PluginStatus, SetupContext } from "holdfast";
import { DirectorySpace, type Space } from "./directory-space.ts";
import { ReceiverMetrics } from "./metrics.ts";
import { ReceiveRate } from "./receive-rate.ts";
import { ReceiverThread } from "./receiver-thread.ts";
import { createRoutes } from "./routes.ts";
import { receiverSettings, type Settings } from "./settings.ts";
import { receiverStatus } from "./status.ts";

/** A change of state is on the page after so long; several of them are one. */
const announceAfterMs = 100;

export class ReceiverInstance implements PluginInstance {
  readonly http: NonNullable<PluginInstance["http"]>;
  readonly #context: SetupContext<Settings>;
  readonly #receiver: ReceiverThread;
  readonly #page: ReceiverMetrics;
  readonly #directory: DirectorySpace;
  readonly #rate = new ReceiveRate();
  readonly #startedAt: number;
  #space: Space | undefined;
  #announcing: Timer | undefined;

  constructor(context: SetupContext<Settings>) {
    const { config, metrics, log, now } = context;
    this.#context = context;
    this.#startedAt = now() / 1000;
    this.#page = new ReceiverMetrics(metrics);
    this.#directory = new DirectorySpace(config.directory);
    this.#receiver = new ReceiverThread({
      settings: receiverSettings(config),
      // libpq's variables are the agent's own; instances add theirs by `postgres`.
      environment: process.env,
      log,
      now,
      onStanding: () => this.#announce(),
    });
    this.http = createRoutes({ settings: config, receiver: this.#receiver, now });
  }

  async collect({ signal }: CollectContext): Promise<void> {
    this.#space = await this.#directory.read(signal);
    this.#rate.add(this.#context.now() / 1000, this.#receiver.telemetry.number("receivedBytes"));
    this.#show();
  }

  status(): PluginStatus {
    const { telemetry, standing, server } = this.#receiver;
    const freeBytes = this.#space?.freeBytes;
    return receiverStatus({ slot: this.#context.config.slot, telemetry, standing, server, freeBytes });
  }

  start({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    return this.#receiver.run(signal);
  }

  stop(): Promise<void> {
    clearTimeout(this.#announcing);
    return this.#receiver.stop();
  }

  /** A scraper that comes before the next collection sees the new state too. */
  #announce(): void {
    if (this.#announcing !== undefined || this.#context.signal.aborted) return;
    this.#announcing = setTimeout(() => {
      this.#announcing = undefined;
      if (this.#context.signal.aborted) return;
      this.#page.clearGauges();
      this.#show();
      void this.#context.publish();
    }, announceAfterMs);
  }

  #show(): void {
    const { telemetry, standing, server, lastSegmentAt } = this.#receiver;
    this.#page.show({
      now: this.#context.now() / 1000,
      startedAt: this.#startedAt,
      telemetry,
      standing,
      server,
      lastSegmentAt: lastSegmentAt === undefined ? undefined : lastSegmentAt / 1000,
      space: this.#space,
      bytesPerSecond: this.#rate.bytesPerSecond,
    });
  }
}
