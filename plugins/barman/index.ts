/** The Barman plugin: backups, checks, WAL and replication of the servers of one Barman. */
import { definePlugin, type RestorableWindow } from "holdfast";
import { Barman } from "./barman.ts";
import { Catalogue, commandsFor } from "./catalogue.ts";
import { config } from "./config.ts";
import { EarlyPublication } from "./early-publication.ts";
import { Journal } from "./journal.ts";
import { Series, wantedMetrics } from "./metrics/series.ts";
import { restorableWindows } from "./restorable.ts";
import { showExtended } from "./show-extended.ts";
import { showProfile } from "./show-profile.ts";

export default definePlugin({
  name: "barman",
  description: "Backups, checks, WAL and replication of the servers of a Barman",
  config,
  // Longer than the limits of the commands together: each is ended by its own limit, and what was learnt is shown.
  defaults: { interval: "60s", timeout: "5m" },
  setup({ config, metrics, log, now }) {
    const series = new Series(metrics, wantedMetrics(config));
    const journal = new Journal(series, log, commandsFor(config.collect));
    const catalogue = new Catalogue(config, new Barman(config, journal), journal, now);
    const show = () => {
      series.clear();
      showProfile(config, catalogue, series, now());
      showExtended(config, catalogue, series);
      journal.show(series);
    };
    let windows: readonly RestorableWindow[] = [];
    return {
      // As the last good collection left them: in the middle of one, a server may be known by half.
      restorable: () => windows,
      async collect(context) {
        const early = new EarlyPublication(show, context.publish);
        try {
          await catalogue.refresh(context, () => early.news());
        } catch (error) {
          // Nothing was answered. Ages go on all the same, and the failures are counted where all can see them.
          if (!context.signal.aborted) {
            show();
            await context.publish();
          }
          throw error;
        } finally {
          await early.end();
        }
        show();
        if (config.collect.includes("backups")) windows = restorableWindows(catalogue, windows);
      },
    };
  },
});
