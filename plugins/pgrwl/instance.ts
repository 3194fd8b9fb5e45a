/** One instance: the receiving thread, the archiver beside it, and what the page tells of it. */
import type { CollectContext, PluginInstance, PluginStatus, RestorableWindow, SetupContext } from "holdfast";
import { Archiver } from "./archive/archiver.ts";
import { ArchiveMetrics } from "./archive/metrics.ts";
import type { Position } from "./archive/partial-shipping.ts";
import type { Beginning } from "./archive/start-gap.ts";
import { DirectorySpace, type Space } from "./directory-space.ts";
import { knownLsn, ReceiverMetrics } from "./metrics.ts";
import { ReceiveRate } from "./receive-rate.ts";
import { ReceiverThread } from "./receiver-thread.ts";
import { Survey } from "./restorable/survey.ts";
import { restorableWindows } from "./restorable/window.ts";
import { createRoutes } from "./routes.ts";
import { receiverSettings, type Settings } from "./settings.ts";
import { archiveStatus, receiverStatus } from "./status.ts";
import { openArchive, WalService } from "./wal-service.ts";

/** A change of state is on the page after so long; several of them are one. */
const announceAfterMs = 100;

export class ReceiverInstance implements PluginInstance {
  readonly http: NonNullable<PluginInstance["http"]>;
  readonly #context: SetupContext<Settings>;
  readonly #receiver: ReceiverThread;
  readonly #archiver: Archiver | undefined;
  readonly #service: WalService;
  readonly #survey: Survey;
  readonly #page: ReceiverMetrics;
  readonly #archivePage: ArchiveMetrics | undefined;
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
      onStanding: () => {
        this.#announce();
        if (this.#receiver.standing.state === "disk_full") this.#archiver?.makeRoom();
      },
      onFile: (name) => this.#archiver?.notice(name),
    });
    if (config.archive) {
      this.#archivePage = new ArchiveMetrics(metrics, this.#page);
      this.#archiver = new Archiver({
        section: config.archive,
        directory: config.directory,
        firstBackOffMs: config.back_off.first * 1000,
        longestBackOffMs: config.back_off.longest * 1000,
        environment: process.env,
        log,
        now,
        position: () => this.#position(),
        beginning: () => this.#beginning(),
        space: (signal) => this.#directory.read(signal),
        onChange: () => this.#announce(),
      });
    }
    const [receiver, archiver] = [this.#receiver, this.#archiver];
    const { telemetry } = receiver;
    this.#service = new WalService({
      context,
      telemetry,
      archiver,
      systemIdentifier: () => receiver.server?.systemIdentifier,
      onChange: () => this.#announce(),
    });
    this.#survey = new Survey({
      directory: config.directory,
      archive: archiver && (() => openArchive(archiver)),
      password: config.archive?.encryption?.passphrase,
      keepFrom: this.#keepFrom,
      log,
      segmentSizeBytes: () => telemetry.number("segmentSizeBytes") || undefined,
      timeline: () => telemetry.number("timeline") || undefined,
      now,
      onEnd: () => this.#announce(),
    });
    this.http = createRoutes({ settings: config, receiver, now, listing: this.#service.listing });
    this.#service.addRoutes(this.http);
  }

  async collect({ signal }: CollectContext): Promise<void> {
    this.#space = await this.#directory.read(signal);
    this.#rate.add(this.#context.now() / 1000, this.#receiver.telemetry.number("receivedBytes"));
    this.#show();
  }

  status(): PluginStatus {
    const { telemetry, standing, server } = this.#receiver;
    const freeBytes = this.#space?.freeBytes;
    const now = this.#context.now();
    const { facts, problem } = receiverStatus({
      slot: this.#context.config.slot,
      telemetry,
      standing,
      server,
      freeBytes,
      archive: this.#archiver && archiveStatus(this.#archiver, now),
    });
    return { facts, problem: problem ?? this.#service.problem };
  }

  restorable(): RestorableWindow[] {
    const { last: surveyed, failure } = this.#survey;
    const { telemetry } = this.#receiver;
    const now = this.#context.now() / 1000;
    const { damaged } = this.#service;
    return restorableWindows({ now, telemetry, surveyed, failure, keepFrom: this.#keepFrom, damaged });
  }

  get #keepFrom(): readonly string[] {
    return this.#context.config.archive?.retention?.keep_from ?? [];
  }

  async start({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const archiver = this.#archiver;
    const last = await archiver?.findEnd(signal);
    void this.#survey.run(signal);
    if (archiver === undefined) return this.#receiver.run(signal);
    void archiver.run(signal);
    void this.#service.run(signal);
    try {
      await this.#receiver.run(signal, last);
    } finally {
      await archiver.stop();
    }
  }

  async stop(): Promise<void> {
    clearTimeout(this.#announcing);
    await Promise.all([this.#receiver.stop(), this.#archiver?.stop()]);
  }

  #position(): Position | undefined {
    const { telemetry } = this.#receiver;
    const flushed = knownLsn(telemetry, "flushed");
    const [timeline, segmentSizeBytes] = [telemetry.number("timeline"), telemetry.number("segmentSizeBytes")];
    const isKnown = flushed !== undefined && timeline > 0 && segmentSizeBytes > 0;
    return isKnown ? { timeline, flushed, segmentSizeBytes } : undefined;
  }

  #beginning(): Beginning | undefined {
    const { telemetry, server } = this.#receiver;
    const lsn = knownLsn(telemetry, "streamStart");
    const [timeline, segmentSizeBytes] = [telemetry.number("timeline"), telemetry.number("segmentSizeBytes")];
    if (lsn === undefined || server === undefined || timeline === 0) return undefined;
    return { timeline, lsn, segmentSizeBytes, systemIdentifier: server.systemIdentifier };
  }

  /** A scraper that comes before the next collection sees the new state too. */
  #announce(): void {
    if (this.#announcing !== undefined || this.#context.signal.aborted) return;
    this.#announcing = setTimeout(() => {
      this.#announcing = undefined;
      if (this.#context.signal.aborted) return;
      this.#page.clearGauges();
      this.#archivePage?.clearGauges();
      this.#service.clearGauges();
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
    if (this.#archiver) this.#archivePage?.show(this.#archiver);
    this.#service.show();
  }
}
