import { create } from "@bufbuild/protobuf";
import { EventStatus, ListEventsRequestSchema } from "@intime/client/event";
import { createValidator } from "@bufbuild/protovalidate";
import { describe, expect, test } from "vitest";
import {
  type EventsView,
  formatView,
  isFiltered,
  noFilters,
  parseView,
  sinceOf,
  toRequest,
  withFilters,
} from "@/app/admin/events/filters";
import { idAt } from "./fake";

const plain: EventsView = { ...noFilters, cursor: "", since: undefined, event: "", live: true };
const everything: EventsView = {
  statuses: ["failed", "dead_letter"],
  types: ["job.created", "system.probe"],
  handler: "notify_matching_candidates",
  range: "24h",
  id: idAt(1_700_000_000_000),
  cursor: "token+/=",
  since: 1_700_000_000_000,
  event: idAt(1_700_000_000_001),
  live: false,
};

describe("the URL", () => {
  test("says everything, and nothing where nothing is chosen", () => {
    expect(formatView(plain).toString()).toBe("");
    expect(parseView(formatView(plain))).toEqual(plain);
    expect(parseView(new URLSearchParams(formatView(everything).toString()))).toEqual(everything);
  });

  test("keeps a range relative", () => {
    expect(formatView({ ...plain, range: "15m" }).toString()).toBe("range=15m");
  });

  test("is read with care", () => {
    const view = parseView(
      new URLSearchParams("status=failed&status=failed&status=toString&range=2y&since=x&live=maybe"),
    );
    expect(view).toEqual({ ...plain, statuses: ["failed"] });
  });
});

test("other filters start at the newest page", () => {
  expect(withFilters(everything, { types: [] })).toEqual({ ...everything, types: [], cursor: "", since: undefined });
});

test("a panel or the live toggle are no filters", () => {
  expect(isFiltered(everything)).toBe(true);
  expect(isFiltered({ ...plain, event: "x", live: false } as EventsView)).toBe(false);
});

describe("the start of the range", () => {
  test("moves with the clock on the newest page", () => {
    expect(sinceOf({ ...plain, range: "1h" }, 10_000_000)).toBe(10_000_000 - 3_600_000);
    expect(sinceOf(plain, 10_000_000)).toBeUndefined();
  });

  test("stays on older pages, whose tokens are bound to it", () => {
    expect(sinceOf(everything, 1_800_000_000_000)).toBe(1_700_000_000_000);
  });
});

describe("the request", () => {
  test("carries every filter and keeps the schema's rules", () => {
    const request = create(ListEventsRequestSchema, toRequest(everything, everything.since));
    expect(request).toMatchObject({
      pageSize: 50,
      pageToken: "token+/=",
      types: ["job.created", "system.probe"],
      statuses: [EventStatus.FAILED, EventStatus.DEAD_LETTER],
      handlerName: "notify_matching_candidates",
      id: everything.id,
      publishedAfter: { seconds: 1_700_000_000n },
    });
    expect(createValidator().validate(ListEventsRequestSchema, request).kind).toBe("valid");
  });

  test("leaves out what is no id", () => {
    expect(toRequest({ ...plain, id: "job" }, undefined)).toMatchObject({ id: "" });
  });
});
