import { expect, test } from "bun:test";
import { refuseSocketActivation } from "../../../agent/system/activation.ts";

test("sockets passed to this process are refused", () => {
  expect(refuseSocketActivation({ LISTEN_FDS: "2", LISTEN_PID: "42" }, 42)).toStartWith(
    'Cannot serve on sockets of the service manager: LISTEN_FDS is "2", expected none',
  );
});

test.each([{}, { LISTEN_FDS: "1", LISTEN_PID: "7" }, { LISTEN_FDS: "0", LISTEN_PID: "42" }, { LISTEN_FDS: "1" }])(
  "%j is none of this process's business",
  (env) => {
    expect(refuseSocketActivation(env, 42)).toBeUndefined();
  },
);
