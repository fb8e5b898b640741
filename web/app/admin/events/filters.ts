import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventStatus, type ListEventsRequestSchema } from "@intime/client/event";

/** Time ranges that end now, in milliseconds. The URL keeps their names, so that they stay relative. */
export const ranges = {
  "15m": 15 * 60_000,
  "1h": 60 * 60_000,
  "24h": 24 * 60 * 60_000,
  "7d": 7 * 24 * 60 * 60_000,
  "30d": 30 * 24 * 60 * 60_000,
} as const;

export type Range = keyof typeof ranges;

/** The statuses by their names in the URL. */
export const statusNames = {
  pending: EventStatus.PENDING,
  processed: EventStatus.PROCESSED,
  failed: EventStatus.FAILED,
  dead_letter: EventStatus.DEAD_LETTER,
} as const;

export type StatusName = keyof typeof statusNames;

export interface EventFilters {
  statuses: StatusName[];
  types: string[];
  handler: string;
  range: Range | "";
  /** The id of an event, or a correlation id. */
  id: string;
}

/** All that the page's URL says. */
export interface EventsView extends EventFilters {
  /** The token of the page shown; empty for the newest. */
  cursor: string;
  /** The start of the time range that the cursor belongs to, in milliseconds: tokens are bound to their filters. */
  since: number | undefined;
  /** The id of the event in the panel. */
  event: string;
  live: boolean;
}

export const noFilters: EventFilters = { statuses: [], types: [], handler: "", range: "", id: "" };

export function parseView(params: URLSearchParams): EventsView {
  const range = params.get("range") ?? "";
  const since = Number(params.get("since") ?? NaN);
  return {
    statuses: [...new Set(params.getAll("status"))].filter((name): name is StatusName =>
      Object.hasOwn(statusNames, name),
    ),
    types: [...new Set(params.getAll("type"))],
    handler: params.get("handler") ?? "",
    range: Object.hasOwn(ranges, range) ? (range as Range) : "",
    id: params.get("id") ?? "",
    cursor: params.get("cursor") ?? "",
    since: Number.isFinite(since) ? since : undefined,
    event: params.get("event") ?? "",
    live: params.get("live") !== "off",
  };
}

export function formatView(view: EventsView): URLSearchParams {
  const params = new URLSearchParams();
  for (const status of view.statuses) params.append("status", status);
  for (const type of view.types) params.append("type", type);
  if (view.handler) params.set("handler", view.handler);
  if (view.range) params.set("range", view.range);
  if (view.id) params.set("id", view.id);
  if (view.cursor) params.set("cursor", view.cursor);
  if (view.cursor && view.since !== undefined) params.set("since", String(view.since));
  if (view.event) params.set("event", view.event);
  if (!view.live) params.set("live", "off");
  return params;
}

/** Returns the view with other filters: at its newest page, as a token of the old ones would be refused. */
export function withFilters(view: EventsView, filters: Partial<EventFilters>): EventsView {
  return { ...view, ...filters, cursor: "", since: undefined };
}

export function isFiltered({ statuses, types, handler, range, id }: EventFilters): boolean {
  return statuses.length > 0 || types.length > 0 || handler !== "" || range !== "" || id !== "";
}

/** Returns the start of the view's time range in milliseconds; undefined without one. */
export function sinceOf(view: EventsView, now: number): number | undefined {
  if (view.cursor) return view.since;
  return view.range ? now - ranges[view.range] : undefined;
}

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Says whether a text is a whole id, as the search takes it. */
export function isId(text: string): boolean {
  return uuid.test(text);
}

export const pageSize = 50;

export function toRequest(
  view: EventsView,
  since: number | undefined,
): MessageInitShape<typeof ListEventsRequestSchema> {
  return {
    pageSize,
    pageToken: view.cursor,
    types: view.types,
    statuses: view.statuses.map((name) => statusNames[name]),
    handlerName: view.handler,
    id: isId(view.id) ? view.id : "",
    ...(since !== undefined && { publishedAfter: timestampFromMs(since) }),
  };
}
