import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@intime/client/event";
import { keepPreviousData } from "@tanstack/react-query";
import { useState } from "react";
import { useClock } from "@/lib/clock";
import { type EventsView, formatView, pageSize, sinceOf, toRequest } from "./filters";
import { hold, nothingHeld, showAll } from "./held-rows";

const pollMs = 2500;

/** Loads the page of events that the URL names, and keeps it up to date while it is the newest one and live. */
export function useEvents(view: EventsView) {
  // A relative range moves with the clock, minute by minute: each step is another question to the server.
  const minute = useClock((now) => Math.floor(now / 60_000) * 60_000, 0);
  const since = sinceOf(view, minute);
  const live = view.live && !view.cursor;
  const query = useQuery(EventService.method.listEvents, toRequest(view, since), {
    placeholderData: keepPreviousData,
    refetchInterval: live ? pollMs : false,
  });

  const key = formatView({ ...view, event: "", live: true }).toString();
  const [held, setHeld] = useState(nothingHeld);
  const { data, isPlaceholderData } = query;
  const next =
    data && !(isPlaceholderData && held.key !== key) ? hold(held, key, data.events, data.nextPageToken === "") : held;
  if (next !== held) setHeld(next);

  return {
    query,
    since,
    live,
    rows: next.rows,
    waiting: next.waiting,
    /** Whether even more may wait than were counted. */
    waitingMore: next.waiting >= pageSize,
    /** Whether the rows still belong to other filters than the URL names. */
    outdated: next.key !== key,
    nextPageToken: data?.nextPageToken ?? "",
    showWaiting: () => data && setHeld(showAll(key, data.events)),
  };
}
