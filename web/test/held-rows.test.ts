import { EventStatus } from "@intime/client/event";
import { describe, expect, test } from "vitest";
import { type HeldRows, hold, nothingHeld, showAll } from "@/app/admin/events/held-rows";
import { eventAt } from "./fake";

const at = (...seconds: number[]) => seconds.map((s) => eventAt(1_700_000_000_000 + s * 1000));
const ids = (held: HeldRows) => held.rows.map((row) => row.id);

describe("rows", () => {
  test("are all shown at first", () => {
    const events = at(3, 2, 1);
    expect(hold(nothingHeld, "", events, true)).toMatchObject({ rows: events, waiting: 0 });
  });

  test("stay where they are while newer ones wait", () => {
    const first = hold(nothingHeld, "", at(3, 2, 1), true);
    const next = hold(first, "", at(5, 4, 3, 2, 1), true);
    expect(ids(next)).toEqual(ids(first));
    expect(next.waiting).toBe(2);
    expect(ids(showAll("", at(5, 4, 3, 2, 1)))).toHaveLength(5);
  });

  test("are brought up to date where they stand", () => {
    const first = hold(nothingHeld, "", at(2, 1), true);
    const failed = eventAt(1_700_000_001_000, { status: EventStatus.FAILED });
    const next = hold(first, "", [...at(2), failed], true);
    expect(next.rows[1]?.status).toBe(EventStatus.FAILED);
    expect(next.waiting).toBe(0);
  });

  test("go when they match no more", () => {
    const first = hold(nothingHeld, "", at(3, 2, 1), true);
    expect(ids(hold(first, "", at(3, 1), true))).toEqual(at(3, 1).map((e) => e.id));
  });

  test("stay on screen when so many wait that they left the page", () => {
    const first = hold(nothingHeld, "", at(3, 2, 1), false);
    const next = hold(first, "", at(6, 5, 4), false);
    expect(ids(next)).toEqual(ids(first));
    expect(next.waiting).toBe(3);
  });

  test("come in at once where there was nothing to read", () => {
    const empty = hold(nothingHeld, "", [], true);
    expect(hold(empty, "", at(1), true)).toMatchObject({ waiting: 0, rows: at(1) });
  });

  test("are others for other filters", () => {
    const first = hold(nothingHeld, "", at(3, 2), true);
    expect(hold(first, "status=failed", at(9, 1), true)).toMatchObject({ waiting: 0, rows: at(9, 1) });
  });

  test("are the same object while nothing changes", () => {
    const events = at(2, 1);
    const first = hold(nothingHeld, "", events, true);
    expect(hold(first, "", events, true)).toBe(first);
  });
});
