import { expect, test } from "bun:test";
import { readFilter } from "../../../agent/http/metrics-filter.ts";

const names = ["walg", "archive", "barman"];
const filter = (query: string) => readFilter(new URLSearchParams(query), names);

test("without a filter there is none, whatever else stands in the query", () => {
  expect(filter("collect=walg&module=x")).toEqual({ instances: undefined });
});

test("collect[] names the instances, exclude[] leaves them out", () => {
  expect(filter("collect[]=walg&collect%5B%5D=barman")).toEqual({ instances: new Set(["walg", "barman"]) });
  expect(filter("exclude[]=walg&exclude[]=barman")).toEqual({ instances: new Set(["archive"]) });
});

test.each([
  ["collect[]=walg&exclude[]=archive", "Cannot use collect[] and exclude[] together: expected one of them"],
  ["collect[]=wlag", 'Cannot find an instance "wlag": did you mean walg?'],
  ["exclude[]=other", 'Cannot find an instance "other": expected one of walg, archive, barman'],
  ["collect[]=", 'Cannot find an instance "": expected one of walg, archive, barman'],
])("%s is refused", (query, message) => {
  expect(filter(query)).toEqual({ problem: message });
});
