/** `process_*` of the agent, by the names that Prometheus' client libraries share. Source: /proc (Linux). */
import { readdirSync, readFileSync } from "node:fs";
import type { OwnFamily } from "./own.ts";

const startedAt = Date.now() / 1000 - process.uptime();

/** What cannot be read is left out. */
export function processFamilies(): OwnFamily[] {
  const { user, system } = process.cpuUsage();
  const rows: OwnFamily[] = [
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", startedAt),
    [
      "process_cpu_seconds_total",
      "counter",
      "Total user and system CPU time spent in seconds.",
      [[{}, (user + system) / 1e6]],
    ],
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", process.memoryUsage.rss()),
  ];
  try {
    const virtualPages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[0]);
    rows.push(gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", virtualPages * 4096));
    rows.push(gauge("process_open_fds", "Number of open file descriptors.", readdirSync("/proc/self/fd").length));
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    if (limit) rows.push(gauge("process_max_fds", "Maximum number of open file descriptors.", Number(limit)));
  } catch {
    // No /proc: these are left out.
  }
  return rows;
}

const gauge = (name: string, help: string, value: number): OwnFamily => [name, "gauge", help, [[{}, value]]];
