/** Text of others on a terminal. */

/** Control characters, and those that turn the direction of text: they could move the cursor and write over what stands there. */
const controls = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The text with such characters spelled out, but for line breaks and tabs. */
export function forTerminal(text: string): string {
  return text.replace(controls, (character) =>
    character === "\n" || character === "\t"
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
