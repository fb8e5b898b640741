import { expect, test } from "vitest";
import { home, nextPath } from "@/lib/next-path";

const origin = "https://intime.example.com";

test.each([
  ["/admin/jobs/?q=gosu", "/admin/jobs/?q=gosu"],
  [null, home],
  ["", home],
  ["https://evil.example.com/", home],
  ["//evil.example.com/", home],
  ["/\\evil.example.com/", home],
  ["/\t/evil.example.com/", home],
  ["javascript:alert(1)", home],
])("%s leads to %s", (next, path) => expect(nextPath(next, origin)).toBe(path));
