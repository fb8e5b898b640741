import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorDetailSchema } from "../src/service/error.js";
import { fieldErrors, isReason, messageOf, reasonOf, requestIdOf, retryDelayOf } from "../src/index.js";

const violation = {
  field: "salary_max",
  rule: "salary_max.at_least_min",
  message: "The highest salary is not below the lowest.",
};

function failure(headers: Record<string, string> = {}) {
  return new ConnectError("Some fields are not right.", Code.InvalidArgument, headers, [
    { desc: ErrorDetailSchema, value: { reason: "INVALID_ARGUMENT", requestId: "r-1", violations: [violation] } },
  ]);
}

describe("an error of the server", () => {
  test("has a reason, a request id, a sentence and the fields to blame", () => {
    const err = failure();
    expect(reasonOf(err)).toBe("INVALID_ARGUMENT");
    expect(isReason(err, "JOB_NOT_FOUND", "INVALID_ARGUMENT")).toBe(true);
    expect(isReason(err, "JOB_NOT_FOUND")).toBe(false);
    expect(requestIdOf(err)).toBe("r-1");
    expect(messageOf(err)).toBe("Some fields are not right.");
    expect(fieldErrors(err)).toEqual([violation]);
  });

  test("says how long to wait, in seconds or until a date", () => {
    expect(retryDelayOf(failure({ "Retry-After": "2" }))).toBe(2000);
    const now = Date.parse("2026-11-23T18:00:00Z");
    expect(retryDelayOf(failure({ "Retry-After": "Mon, 23 Nov 2026 18:00:05 GMT" }), now)).toBe(5000);
    expect(retryDelayOf(failure({ "Retry-After": "soon" }))).toBeUndefined();
    expect(retryDelayOf(failure())).toBeUndefined();
  });
});

describe("an error from elsewhere", () => {
  test("has none of it, but a sentence", () => {
    const err = new ConnectError("upstream connect error: 10.0.0.7", Code.Unavailable, { "X-Request-Id": "r-2" });
    expect(reasonOf(err)).toBeUndefined();
    expect(isReason(err, "UNAVAILABLE")).toBe(false);
    expect(fieldErrors(err)).toEqual([]);
    expect(requestIdOf(err)).toBe("r-2");
    expect(messageOf(err)).toBe("The server could not be reached, or its answer was not understood.");
    expect(messageOf(new TypeError("Failed to fetch"))).toBe(
      "The server could not be reached, or its answer was not understood.",
    );
    expect(requestIdOf("no error at all")).toBeUndefined();
  });
});
