import type { Event } from "@intime/client/event";

/** The rows one reads, kept in place while newer ones arrive. */
export interface HeldRows {
  /** The filters and page that the rows belong to. */
  key: string;
  /** The id of the newest event that is shown; events that are newer wait. */
  head: string;
  /** What is shown, newest first. */
  rows: Event[];
  /** How many wait. */
  waiting: number;
  /** The answer that all this comes from. */
  source: Event[] | undefined;
}

export const nothingHeld: HeldRows = { key: "", head: "", rows: [], waiting: 0, source: undefined };

/**
 * Takes in an answer of the server. Rows that are shown already are brought up to date where they stand; newer ones wait
 * until they are asked for, unless there was nothing to read. Ids sort by time, so comparing them tells the two apart.
 */
export function hold(held: HeldRows, key: string, events: Event[], last: boolean): HeldRows {
  if (held.key === key && held.source === events) return held;
  if (held.key !== key || held.rows.length === 0) return showAll(key, events);
  const known = events.filter((event) => event.id <= held.head);
  const oldest = events.at(-1)?.id;
  // So many are waiting that rows on screen have left the page: they stay as they were.
  const beyond = last || oldest === undefined ? [] : held.rows.filter((row) => row.id < oldest);
  return {
    key,
    head: held.head,
    rows: [...known, ...beyond].slice(0, Math.max(held.rows.length, known.length)),
    waiting: events.length - known.length,
    source: events,
  };
}

/** Shows everything the server has answered with. */
export function showAll(key: string, events: Event[]): HeldRows {
  return { key, head: events[0]?.id ?? "", rows: events, waiting: 0, source: events };
}
