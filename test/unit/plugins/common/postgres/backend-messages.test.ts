import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  code,
  MessageReader,
  readDataRow,
  readNotice,
  readParameterStatus,
} from "../../../../../plugins/common/postgres/backend-messages.ts";

const frame = (type: number, body: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

const messages = fc.array(fc.tuple(fc.constantFrom(...Object.values(code)), fc.uint8Array({ maxLength: 400 })), {
  maxLength: 12,
});

test("messages are the same however the bytes are cut", () => {
  fc.assert(
    fc.property(messages, fc.array(fc.nat(3000)), (sent, cuts) => {
      const stream = Buffer.concat(sent.map(([type, body]) => frame(type, body)));
      const bounds = [
        0,
        ...cuts.map((cut) => cut % (stream.length + 1)).sort((one, other) => one - other),
        stream.length,
      ];
      const reader = new MessageReader();
      const received: Buffer[] = [];
      for (const [index, bound] of bounds.slice(1).entries()) {
        const chunk = Buffer.from(stream.subarray(bounds[index], bound));
        reader.read(chunk, (type, message) => {
          expect(message[0]).toBe(type);
          received.push(Buffer.from(message));
          return true;
        });
        // What was handed over was a view; the chunk is not looked at again.
        chunk.fill(0xff);
      }
      expect(Buffer.concat(received).equals(stream)).toBe(true);
      expect(received).toHaveLength(sent.length);
      expect(reader.isBetweenMessages).toBe(true);
    }),
  );
});

test("a message that came whole is handed over without a copy", () => {
  const chunk = Buffer.concat([frame(code.copyData, Buffer.alloc(10)), frame(code.copyData, Buffer.alloc(20))]);
  const offsets: number[] = [];
  new MessageReader().read(chunk, (_, message) => {
    expect(message.buffer).toBe(chunk.buffer);
    offsets.push(message.byteOffset - chunk.byteOffset);
    return true;
  });
  expect(offsets).toEqual([0, 15]);
});

test("whoever takes a message can end the reading", () => {
  const chunk = Buffer.concat([1, 2, 3].map((byte) => frame(code.copyData, Buffer.of(byte))));
  let count = 0;
  new MessageReader().read(chunk, () => ++count < 2);
  expect(count).toBe(2);
});

test.each([
  ["HTTP/1.1 400 Bad Request\r\n", "a message of 1414811695 bytes"],
  ["SSH-2.0-OpenSSH_9.2\r\n", "bytes"],
  ["\x7f\0\0\0\x04", "unknown type 0x7f"],
  ["d\0\0\0\x03", "a message of 3 bytes"],
])("%j is no message", (text, found) => {
  const bytes = Buffer.from(text, "latin1");
  expect(() => new MessageReader().read(bytes, () => true)).toThrow(found);
  const byte = new MessageReader();
  expect(() => {
    for (const each of bytes) byte.read(Buffer.of(each), () => true);
  }).toThrow(found);
});

test("the memory that a length claims is not taken before the bytes come", () => {
  const head = Buffer.from("d\x03\xff\xff\xff", "latin1");
  const before = process.memoryUsage().rss;
  const readers = Array.from({ length: 100 }, () => {
    const reader = new MessageReader();
    reader.read(head, () => true);
    reader.read(Buffer.alloc(100), () => true);
    return reader;
  });
  expect(process.memoryUsage().rss - before).toBeLessThan(500 * 2 ** 20);
  expect(readers.every((reader) => !reader.isBetweenMessages)).toBe(true);
});

test("a row keeps the bytes of its columns", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.uint8Array()), { maxLength: 6 }), (columns) => {
      const count = Buffer.alloc(2);
      count.writeInt16BE(columns.length);
      const parts = columns.map((column) => {
        const length = Buffer.alloc(4);
        length.writeInt32BE(column?.length ?? -1);
        return Buffer.concat([length, column ?? new Uint8Array()]);
      });
      const message = frame(code.dataRow, Buffer.concat([count, ...parts]));
      expect(readDataRow(message)).toEqual(columns.map((column) => (column ? Buffer.from(column) : null)));
    }),
  );
});

test("an error's fields are told apart, its severity untranslated", () => {
  const body = Buffer.from("SFATALE\0VFATAL\0C57P01\0Mterminé\0Ddetail\0Hhint\0Zfuture\0\0");
  expect(readNotice(frame(code.errorResponse, body))).toEqual({
    severity: "FATAL",
    sqlState: "57P01",
    message: "terminé",
    detail: "detail",
    hint: "hint",
  });
});

test("messages cut short inside are refused, not misread", () => {
  const whole = [
    [readNotice, Buffer.from("VFATAL\0C57P01\0Mx\0\0")],
    [readParameterStatus, Buffer.from("name\0value\0")],
    [readDataRow, Buffer.from("\0\x02\0\0\0\x01a\0\0\0\x01b", "latin1")],
  ] as const;
  for (const [read, body] of whole) {
    read(frame(0, body));
    for (let length = 0; length < body.length; length++) {
      expect(() => read(frame(0, body.subarray(0, length)))).toThrow(/^a malformed \w+ message$/);
    }
  }
});
