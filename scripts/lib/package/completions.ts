/** Shell completions, from the command table: commands, flags, and files where a file is wanted. */
import type { Command } from "../../../agent/commands/command.ts";
import { kindOfValue, shownFlags } from "./command-table.ts";

/** The words that may stand behind the first `words` of a command, e.g. `new`, `test` and `list` behind `plugin`. */
function wordsBehind(commands: readonly Command[], first: string): string[] {
  return commands
    .map(({ name }) => name.split(" "))
    .flatMap(([word, second]) => (word === first && second ? [second] : []));
}

const firstWords = (commands: readonly Command[]) => [
  ...new Set(commands.map(({ name }) => name.split(" ")[0] ?? name)),
];
const doubled = (commands: readonly Command[]) =>
  firstWords(commands).filter((word) => wordsBehind(commands, word).length > 0);

/** `--config.file=` and `-c`, `--help` and `-h`. */
const spellings = (command: Command) =>
  shownFlags(command).flatMap(({ name, short, value }) => [
    `--${name}${value === undefined ? "" : "="}`,
    ...(short === undefined ? [] : [`-${short}`]),
  ]);

/** Flags of any command, without their dashes, whose value is of this kind. Only a short one of a replaced tool may mean something else than here. */
function flagsOfKind(commands: readonly Command[], kind: "file" | "folder"): string[] {
  const flags = commands.flatMap(shownFlags).filter(({ value }) => value !== undefined && kindOfValue(value) === kind);
  return [...new Set(flags.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]))];
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** For bash 4 and later, with or without the bash-completion package. */
export function bashCompletion(commands: readonly Command[]): string {
  const cases = (rows: readonly (readonly [string, string])[]) =>
    rows.map(([pattern, action]) => `    ${pattern}) ${action} ;;`).join("\n");
  const flagCases = commands.map(
    (command) => [quoted(command.name), `words=${quoted(spellings(command).join(" "))}`] as const,
  );
  const operandCases = commands.flatMap(({ name, operands }) => {
    const kind = kindOfValue(operands?.usage ?? "");
    return kind === "other"
      ? []
      : [
          [
            quoted(name),
            `compopt -o filenames; mapfile -t COMPREPLY < <(compgen -${kind === "file" ? "f" : "d"} -- "$current")`,
          ] as const,
        ];
  });
  const valueCases = (["file", "folder"] as const).flatMap((kind) => {
    const flags = flagsOfKind(commands, kind);
    return flags.length === 0
      ? []
      : [
          [
            flags.join(" | "),
            `compopt -o filenames; mapfile -t COMPREPLY < <(compgen -${kind === "file" ? "f" : "d"} -- "$current")`,
          ] as const,
        ];
  });
  return `# bash completion for holdfast; made from its command table.
_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} flag='' command='' words='' index
  COMPREPLY=()
  # Readline parts words at "=".
  if [[ $current == = ]]; then
    flag=\${COMP_WORDS[COMP_CWORD - 1]} current=''
  elif [[ \${COMP_WORDS[COMP_CWORD - 1]} == = ]]; then
    flag=\${COMP_WORDS[COMP_CWORD - 2]}
  else
    flag=\${COMP_WORDS[COMP_CWORD - 1]}
  fi
  case $flag in
${cases(valueCases)}
  esac
  ((\${#COMPREPLY[@]} == 0)) || return 0
  for ((index = 1; index < COMP_CWORD; index++)); do
    [[ \${COMP_WORDS[index]} != -* ]] || break
    case $command in
      '') command=\${COMP_WORDS[index]} ;;
      ${doubled(commands).join(" | ")}) command+=" \${COMP_WORDS[index]}" ;;
      *) break ;;
    esac
  done
  case $command in
${cases([
  ["''", `words=${quoted([...firstWords(commands), "--help", "--version", "--config.file="].join(" "))}`],
  ...doubled(commands).map((word) => [word, `words=${quoted(wordsBehind(commands, word).join(" "))}`] as const),
  ...flagCases,
])}
  esac
  if [[ -n $command && $current != -* ]]; then
    case $command in
${cases(operandCases)}
    esac
    ((\${#COMPREPLY[@]} == 0)) || return 0
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [[ \${COMPREPLY[0]-} != *= ]] || compopt -o nospace
}
complete -F _holdfast holdfast
`;
}

/** A function for the folder of completions that zsh loads by itself. */
export function zshCompletion(commands: readonly Command[]): string {
  const action = (placeholder: string) =>
    ({ file: "_files", folder: "_files -/", other: " " })[kindOfValue(placeholder)];
  const escaped = (text: string) => text.replace(/[\\[\]:]/g, "\\$&");
  const specifications = (command: Command) => [
    ...shownFlags(command).flatMap(({ name, short, value, help, repeatable }) => {
      const behind = `[${escaped(help)}]${value === undefined ? "" : `:${escaped(value)}:${action(value)}`}`;
      const long = `${repeatable ? "*" : ""}--${name}${value === undefined ? "" : "="}${behind}`;
      return short === undefined ? [long] : [long, `-${short}${behind}`];
    }),
    ...(command.operands === undefined
      ? []
      : [`*:${escaped(command.operands.usage)}:${action(command.operands.usage)}`]),
  ];
  const described = (words: readonly (readonly [string, string])[]) =>
    words.map(([word, summary]) => `        ${quoted(`${word}:${summary}`)}`).join("\n");
  const groups = doubled(commands);
  const first = firstWords(commands).map(
    (word) =>
      [
        word,
        commands.find(({ name }) => name === word)?.summary ?? `${wordsBehind(commands, word).join(", ")}`,
      ] as const,
  );
  return `#compdef holdfast
# zsh completion for holdfast; made from its command table.
_holdfast() {
  local -a words_known
  local command
  if (( CURRENT == 2 )); then
    words_known=(
${described(first)}
    )
    _describe -t commands command words_known
    return
  fi
  command=$words[2]
  case $command in
${groups
  .map((group) => {
    const behind = commands.filter(({ name }) => name.startsWith(`${group} `));
    const rows = behind.map(({ name, summary }) => [name.slice(group.length + 1), summary] as const);
    return `    ${group})
      if (( CURRENT == 3 )); then
        words_known=(
${described(rows).replace(/^/gm, "  ")}
        )
        _describe -t commands command words_known
        return
      fi
      command+=" $words[3]"
      shift words
      (( CURRENT-- ))
      ;;`;
  })
  .join("\n")}
  esac
  shift words
  (( CURRENT-- ))
  case $command in
${commands
  .map(
    (command) =>
      `    ${quoted(command.name)})\n      _arguments -S \\\n${specifications(command)
        .map((one) => `        ${quoted(one)}`)
        .join(" \\\n")}\n      ;;`,
  )
  .join("\n")}
  esac
}
_holdfast "$@"
`;
}

/** For fish 3 and later. */
export function fishCompletion(commands: readonly Command[]): string {
  const lines = ["# fish completion for holdfast; made from its command table.", "complete -c holdfast -f"];
  const unquoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  for (const word of firstWords(commands)) {
    const summary = commands.find(({ name }) => name === word)?.summary ?? wordsBehind(commands, word).join(", ");
    lines.push(`complete -c holdfast -n __fish_use_subcommand -a ${word} -d ${unquoted(summary)}`);
  }
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    let condition = `__fish_seen_subcommand_from ${first}`;
    if (second !== undefined) {
      const others = wordsBehind(commands, first).join(" ");
      const open = `${condition}; and not __fish_seen_subcommand_from ${others}`;
      lines.push(`complete -c holdfast -n ${unquoted(open)} -a ${second} -d ${unquoted(command.summary)}`);
      condition += `; and __fish_seen_subcommand_from ${second}`;
    }
    for (const { name, short, value, help } of shownFlags(command)) {
      const kind = kindOfValue(value ?? "");
      const takes = value === undefined ? "" : kind === "other" ? " -x" : ` -r -F`;
      const letter = short === undefined ? "" : ` -s ${short}`;
      lines.push(`complete -c holdfast -n ${unquoted(condition)} -l ${name}${letter}${takes} -d ${unquoted(help)}`);
    }
    if (kindOfValue(command.operands?.usage ?? "") !== "other") {
      lines.push(`complete -c holdfast -n ${unquoted(condition)} -F`);
    }
  }
  return `${lines.join("\n")}\n`;
}
