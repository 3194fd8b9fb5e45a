import { expect, test } from "bun:test";
import { passesOf, sessionRefusal } from "../../../../../plugins/common/postgres/session-attributes.ts";

const primary = { isStandby: false, isReadOnly: false };
const readOnly = { isStandby: false, isReadOnly: true };
const standby = { isStandby: true, isReadOnly: true };

test.each([
  ["any", [primary, readOnly, standby]],
  ["read-write", [primary]],
  ["read-only", [readOnly, standby]],
  ["primary", [primary, readOnly]],
  ["standby", [standby]],
] as const)("target_session_attrs=%s takes the servers that libpq takes", (wanted, servers) => {
  const taken = [primary, readOnly, standby].filter((server) => sessionRefusal(wanted, server) === undefined);
  expect(taken).toEqual([...servers]);
});

test("prefer-standby looks for a standby, then for any", () => {
  expect(passesOf("prefer-standby")).toEqual(["standby", "any"]);
  expect(passesOf("primary")).toEqual(["primary"]);
});
