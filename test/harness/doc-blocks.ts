/** The fenced blocks of a page of the documentation, and a shell that runs them as a reader's terminal would. */
import { asUser } from "./users.ts";

const repository = new URL("../..", import.meta.url).pathname;

export interface DocBlock {
  /** The first word behind the fence; empty without one. */
  readonly language: string;
  /** The rest of that line, such as a file's name. */
  readonly info: string;
  readonly text: string;
  /** The line of the fence, from 1. */
  readonly line: number;
}

/** @param path Below the repository. */
export const readDoc = (path: string): Promise<string> => Bun.file(repository + path).text();

/** Blocks in their order; those that are indented below a list lose that indentation. */
export function docBlocks(markdown: string): DocBlock[] {
  return [...markdown.matchAll(/^( *)```([\w-]*) ?(.*)\n((?:.*\n)*?)\1```$/gm)].map(
    ([whole, indent = "", language = "", info = "", text = ""]) => ({
      language,
      info,
      text: indent === "" ? text : text.replaceAll(new RegExp(`^ {1,${indent.length}}`, "gm"), ""),
      line: markdown.slice(0, markdown.indexOf(whole)).split("\n").length,
    }),
  );
}

/** The part of a page below one heading, to the next of its level or above. @throws {Error} There is no such heading. */
export function docSection(markdown: string, title: string): string {
  const lines = markdown.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === title);
  if (start === -1) throw new Error(`No heading ${JSON.stringify(title)}`);
  const level = /^#+/.exec(lines[start] ?? "")?.[0].length ?? 1;
  const length = lines.slice(start + 1).findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
  return lines.slice(start, length === -1 ? undefined : start + 1 + length).join("\n");
}

export interface DocShell extends AsyncDisposable {
  /** Runs lines in the same shell as those before. @returns What they wrote to stdout. @throws {Error} One of them failed. */
  run(lines: string): Promise<string>;
  /** Another terminal: a command that goes on until it, or the shell, is ended. */
  background(line: string): { readonly log: () => string; stop(): Promise<void> };
}

/** @param env Of the shell, beside a `PATH` with the system's own folders. */
export function startDocShell(user: string, cwd: string, path: readonly string[]): DocShell {
  const env = {
    PATH: [...path, "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"].join(":"),
    HOME: cwd,
    LC_ALL: "C.UTF-8",
  };
  const started: { stop(): Promise<void> }[] = [];
  const options = { cwd, env, stdout: "pipe", stderr: "pipe" } as const;
  const shell = Bun.spawn(asUser(user, ["bash", "--noprofile", "--norc"]), { ...options, stdin: "pipe" });
  let stdout = "";
  let stderr = "";
  const reading = Promise.all([
    collect(shell.stdout, (text) => void (stdout += text)),
    collect(shell.stderr, (text) => void (stderr += text)),
  ]);
  let blocks = 0;
  return {
    async run(lines) {
      const mark = `end-of-block-${++blocks}`;
      stdout = "";
      stderr = "";
      // A line that fails ends the block, as a reader would stop there; `cd` and `export` stay.
      const steps = `_failed=; trap '_failed=\${_failed:-$?}' ERR\n${lines}\ntrap - ERR\n`;
      shell.stdin.write(`${steps}echo; echo "${mark} \${_failed:-0}"\n`);
      await shell.stdin.flush();
      const end = new RegExp(`\\n${mark} (\\d+)\\n`);
      while (!end.test(stdout)) {
        if (shell.exitCode !== null) throw new Error(`${lines}: the shell ended\n${stdout}${stderr}`);
        await Bun.sleep(10);
      }
      const found = end.exec(stdout);
      const said = stdout.slice(0, found?.index);
      if (found?.[1] !== "0") throw new Error(`${lines}: exit status ${found?.[1]}\n${said}${stderr}`);
      return said;
    },
    background(line) {
      const child = Bun.spawn(asUser(user, ["sh", "-c", `exec ${line}`]), { ...options, stdin: "ignore" });
      let log = "";
      const logging = Promise.all(
        [child.stdout, child.stderr].map((one) => collect(one, (text) => void (log += text))),
      );
      const stop = async () => {
        child.kill("SIGTERM");
        await child.exited;
        await logging;
      };
      started.push({ stop });
      return { log: () => log, stop };
    },
    async [Symbol.asyncDispose]() {
      for (const one of started) await one.stop();
      shell.kill("SIGKILL");
      await shell.exited;
      await reading;
    },
  };
}

async function collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }));
}
