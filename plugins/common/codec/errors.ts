/** What a codec says of stored bytes that it cannot decode. */

/**
 * - `truncated`: they end too early.
 * - `corrupt`: they were changed, put together wrongly, or are of another format.
 * - `password`: the first chunk cannot be decrypted: a wrong password, as a rule.
 * - `too-large`: they decode to more than was allowed.
 */
export type CodecErrorKind = "truncated" | "corrupt" | "password" | "too-large";

export class CodecError extends Error {
  override readonly name = "CodecError";
  readonly kind: CodecErrorKind;

  constructor(kind: CodecErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
