import { expect, test } from "bun:test";
import { parseServeAddress } from "../../../../../plugins/common/wal-archive/serve-client.ts";

test("an address that is none is repeated, but for one in which a password may be", () => {
  expect(() => parseServeAddress("agent:port")).toThrow('Cannot use "agent:port" as an agent\'s address');
  for (const address of ["http://user:s3cret@agent:7070", "user:s3cret@agent:7070", "user:s3cret@agent:port"])
    expect(() => parseServeAddress(address)).toThrow(
      "Cannot use a URL with a user as an agent's address: expected HOST:PORT",
    );
});
