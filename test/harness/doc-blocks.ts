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
  let isInBlock = false;
  const levels = lines.map((line) => {
    if (/^ *```/.test(line)) isInBlock = !isInBlock;
    return isInBlock ? 0 : (/^#+(?= )/.exec(line)?.[0].length ?? 0);
  });
  const start = lines.findIndex((line, index) => levels[index] && line.replace(/^#+ /, "") === title);
  const level = levels[start];
  if (level === undefined) throw new Error(`No heading ${JSON.stringify(title)}`);
  const end = levels.findIndex((one, index) => index > start && one > 0 && one <= level);
  return lines.slice(start, end === -1 ? undefined : end).join("\n");
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
  const [stdout, stderr] = [gather(shell.stdout), gather(shell.stderr)];
  let blocks = 0;
  return {
    async run(lines) {
      const mark = `end-of-block-${++blocks}`;
      stdout.text = "";
      stderr.text = "";
      // The first line that fails is told; `cd`, `export` and variables stay for the next block.
      const steps = `_failed=; trap '_failed=\${_failed:-$?}' ERR\n${lines}\ntrap - ERR\n`;
      shell.stdin.write(`${steps}echo; echo "${mark} \${_failed:-0}"\n`);
      await shell.stdin.flush();
      const end = new RegExp(`\\n${mark} (\\d+)\\n`);
      while (!end.test(stdout.text)) {
        if (shell.exitCode !== null) throw new Error(`${lines}: the shell ended\n${stdout.text}${stderr.text}`);
        await Bun.sleep(10);
      }
      const found = end.exec(stdout.text);
      const said = stdout.text.slice(0, found?.index);
      if (found?.[1] !== "0") throw new Error(`${lines}: exit status ${found?.[1]}\n${said}${stderr.text}`);
      return said;
    },
    background(line) {
      const child = Bun.spawn(asUser(user, ["sh", "-c", `exec ${line}`]), { ...options, stdin: "ignore" });
      const logs = [gather(child.stdout), gather(child.stderr)];
      const stop = async () => {
        child.kill("SIGTERM");
        await child.exited;
        await Promise.all(logs.map(({ ended }) => ended));
      };
      started.push({ stop });
      return { log: () => logs.map(({ text }) => text).join(""), stop };
    },
    async [Symbol.asyncDispose]() {
      for (const one of started) await one.stop();
      shell.kill("SIGKILL");
      await shell.exited;
      await Promise.all([stdout.ended, stderr.ended]);
    },
  };
}

/** What a stream gives, as it comes. */
function gather(stream: ReadableStream<Uint8Array>): { text: string; readonly ended: Promise<void> } {
  const decoder = new TextDecoder();
  const read = async () => {
    for await (const bytes of stream) gathered.text += decoder.decode(bytes, { stream: true });
  };
  const gathered: { text: string; ended: Promise<void> } = { text: "", ended: Promise.resolve() };
  gathered.ended = read();
  return gathered;
}
