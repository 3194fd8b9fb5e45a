import { expect, test } from "bun:test";
import { parseJunit } from "../../../scripts/lib/junit.ts";

// As Bun 1.4.5 wrote it, but for the times.
const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5" assertions="2" failures="1" skipped="2" time="0.019">
  <testsuite name="test/a.test.ts" file="test/a.test.ts" tests="5" assertions="2" failures="1" skipped="2" time="0.008" hostname="vm">
    <testcase name="ok &lt;&amp;&gt; &quot;x&quot;" classname="" time="0" file="test/a.test.ts" line="2" assertions="1" />
    <testcase name="bad" classname="" time="0" file="test/a.test.ts" line="3" assertions="1">
      <failure type="AssertionError" message="expect(received)&#10;">&lt;testcase name="no" /&gt;
      </failure>
    </testcase>
    <testcase name="later" classname="" time="0" file="test/a.test.ts" line="5" assertions="0">
      <skipped message="TODO" />
    </testcase>
    <testsuite name="group (skipped: no x)" file="test/a.test.ts" line="6" tests="1" skipped="1" hostname="vm">
      <testcase name="inner" classname="group (skipped: no x)" time="0" file="test/a.test.ts" line="6" assertions="0">
        <skipped />
      </testcase>
      <testcase name="last" classname="group (skipped: no x)" time="0" file="test/a.test.ts" line="6" assertions="0" />
    </testsuite>
  </testsuite>
</testsuites>`;

test("parseJunit() gives each case with its groups and its outcome", () => {
  expect(parseJunit(report)).toEqual([
    { name: 'ok <&> "x"', outcome: "passed" },
    { name: "bad", outcome: "failed" },
    { name: "later", outcome: "skipped" },
    { name: "group (skipped: no x) > inner", outcome: "skipped" },
    { name: "group (skipped: no x) > last", outcome: "passed" },
  ]);
});

test("parseJunit() finds nothing in an empty report", () => {
  expect(parseJunit("")).toEqual([]);
});
