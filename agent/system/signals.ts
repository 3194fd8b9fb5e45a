/**
 * Takes the signals. To be the first import of the executable's main module: imports are evaluated in order and before
 * any statement, and until this one was, SIGHUP and SIGUSR1 end the process.
 */

export type StopSignal = "SIGINT" | "SIGTERM";

const exitStatus: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

let reload: (() => void) | undefined;
let stop: ((signal: StopSignal) => void) | undefined;
let reloadWaits = false;
let stopSignal: StopSignal | undefined;

function takeReload(): void {
  if (reload === undefined) reloadWaits = true;
  else reload();
}

function takeStop(signal: StopSignal): void {
  // Whoever asks twice does not want to wait.
  if (stopSignal !== undefined) process.exit(exitStatus[signal]);
  stopSignal = signal;
  stop?.(signal);
}

// SIGPIPE needs no handler: Bun ignores it, and gives its children the default back.
process.on("SIGUSR1", takeReload);
process.on("SIGHUP", takeReload);
process.on("SIGINT", () => takeStop("SIGINT"));
process.on("SIGTERM", () => takeStop("SIGTERM"));

/** Calls `handler` at each SIGUSR1 and SIGHUP, and once now if any came before. */
export function onReload(handler: () => void): void {
  reload = handler;
  if (!reloadWaits) return;
  reloadWaits = false;
  handler();
}

/** Calls `handler` at the first SIGINT or SIGTERM, or now if it came before. The second one ends the process at once. */
export function onStop(handler: (signal: StopSignal) => void): void {
  stop = handler;
  if (stopSignal !== undefined) handler(stopSignal);
}

/** The first SIGINT or SIGTERM ends the process, with status 130 or 143, once `tidy` has returned. */
export function endOnStop(tidy?: () => void): void {
  onStop((signal) => {
    tidy?.();
    process.exit(exitStatus[signal]);
  });
}
