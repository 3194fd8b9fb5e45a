/** The programs that make packages. */

/** Runs one to its end. @throws {Error} Its exit status is another than 0; with what it wrote. */
export async function execute(
  command: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<string> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd,
    env: { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC", ...env },
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const status = await child.exited;
  if (status !== 0) throw new Error(`Cannot run ${command.join(" ")}: exit status ${status}\n${stdout}${stderr}`);
  return stdout;
}
