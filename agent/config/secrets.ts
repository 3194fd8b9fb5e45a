/** Values that came from references: what logs and messages must not show. */
import { replacedIn, type Written } from "./written.ts";

const shortestSecret = 4;
/** A port of five digits in a log is no secret, and worth reading. */
const shortestNumber = 6;

/**
 * The texts below a value that came from references and that logs hide: of four characters and more, of a number six.
 * Where only a shorter text came in, the scalar that it stands in.
 */
export function secretsIn(written: Written): string[] {
  const secrets = replacedIn(written).flatMap(({ value, replaced: { values, typed } }) => {
    if (typed) return values.map(({ text }) => text).filter((text) => /\d/.test(text) && text.length >= shortestNumber);
    const texts = values.map(({ text }) => text);
    return texts.some((text) => text.length < shortestSecret) ? [...texts, String(value)] : texts;
  });
  return [...new Set(secrets)].filter((text) => text.length >= shortestSecret).sort((a, b) => b.length - a.length);
}

/**
 * A message of a plugin without the values that came from references, each as its `${NAME}` instead.
 * @param about The scalar that the message is about: of it, values shorter than a secret are hidden too.
 */
export function withoutSecrets(message: string, below: Written, about: Written | undefined): string {
  const spellings = new Map<string, string>();
  for (const { value, replaced } of replacedIn(below)) {
    for (const { text, spelling } of replaced.values) add(spellings, text, spelling);
    if (replaced.values.length > 0) add(spellings, String(value), replaced.spelling);
  }
  let text = message;
  for (const [secret, spelling] of [...spellings].sort(([a], [b]) => b.length - a.length)) {
    if (secret.length >= shortestSecret) text = text.replaceAll(secret, () => spelling);
  }
  for (const { text: value, spelling } of about?.replaced?.values ?? []) {
    if (value.length < shortestSecret) text = text.replace(asWord(value), () => spelling);
  }
  return text;
}

/** The text and how JSON writes it: messages quote values so. */
function add(spellings: Map<string, string>, text: string, spelling: string): void {
  spellings.set(text, spelling);
  spellings.set(JSON.stringify(text).slice(1, -1), spelling);
}

function asWord(value: string): RegExp {
  return new RegExp(`(?<!\\w)${RegExp.escape(value)}(?!\\w)`, "g");
}
