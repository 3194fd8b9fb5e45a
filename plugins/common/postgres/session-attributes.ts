/** Which servers of a list will do. Source: PostgreSQL documentation, `target_session_attrs`, section 34.1.2. */
import type { TargetSessionAttributes } from "./conninfo.ts";

export interface SessionFacts {
  readonly isStandby: boolean;
  /** New transactions may not write; so it is on every standby. */
  readonly isReadOnly: boolean;
}

/** What to look for, in turn, until a server of the list fits. */
export const passesOf = (wanted: TargetSessionAttributes): readonly TargetSessionAttributes[] =>
  wanted === "prefer-standby" ? ["standby", "any"] : [wanted];

/** Why this server is not the one that is wanted; undefined when it is. */
export function sessionRefusal(
  wanted: TargetSessionAttributes,
  { isStandby, isReadOnly }: SessionFacts,
): string | undefined {
  const fits = {
    any: true,
    "read-write": !isReadOnly && !isStandby,
    "read-only": isReadOnly || isStandby,
    primary: !isStandby,
    standby: isStandby,
    "prefer-standby": true,
  }[wanted];
  if (fits) return undefined;
  const found = isStandby ? "a standby" : isReadOnly ? "a read-only primary" : "a primary";
  return `this is ${found}, and target_session_attrs=${wanted} wants another`;
}
