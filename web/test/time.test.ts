import { describe, expect, test } from "vitest";
import { absoluteTime, duration, relativeTime, timeOfDay } from "@/lib/time";

const now = Date.parse("2026-11-23T18:14:05.123Z");

test.each([
  [0, "now"],
  [999, "now"],
  [12_000, "12s ago"],
  [61_000, "1m ago"],
  [3 * 3_600_000, "3h ago"],
  [50 * 3_600_000, "2d ago"],
  [-30_000, "in 30s"],
])("%d ms before now is %s", (ms, text) => expect(relativeTime(now - ms, now)).toBe(text));

test("an absolute time has its zone and milliseconds", () => {
  expect(absoluteTime(now, "utc")).toBe("23 Nov 2026, 18:14:05.123 UTC");
  expect(timeOfDay(now, "utc")).toBe("18:14:05.123");
});

describe("a duration", () => {
  test.each([
    [0, "0 ms"],
    [-3, "0 ms"],
    [12.4, "12 ms"],
    [1_240, "1.2 s"],
    [42_000, "42 s"],
    [200_000, "3 min 20 s"],
    [120_000, "2 min"],
    [7_500_000, "2 h 5 min"],
    [90_000_000, "1 d 1 h"],
  ])("of %d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));
});
