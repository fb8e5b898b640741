"use client";

import { EventService } from "@intime/client/event";
import dynamic from "next/dynamic";
import { useSearchParams } from "next/navigation";
import { useCallback, useMemo } from "react";
import { ForbiddenState } from "@/components/states";
import { useGo } from "@/hooks/use-go";
import { useCan } from "@/hooks/use-me";
import { focusRow, useRowKeys } from "@/hooks/use-row-keys";
import { EventList } from "./event-list";
import { FilterBar } from "./filter-bar";
import { type EventFilters, type EventsView, formatView, noFilters, parseView, withFilters } from "./filters";
import { LiveToggle } from "./live-toggle";
import { useEvents } from "./use-events";

const EventPanel = dynamic(() => import("./event-panel").then((panel) => panel.EventPanel), { ssr: false });

export function EventsPage() {
  const can = useCan();
  if (!can(EventService.method.listEvents)) {
    return <ForbiddenState method={EventService.method.listEvents} what="see events" />;
  }
  return <Events />;
}

function Events() {
  const params = useSearchParams();
  const view = useMemo(() => parseView(params), [params]);
  const go = useGo();
  const show = useCallback((next: EventsView, how?: "push" | "replace") => go(formatView(next), how), [go]);
  const events = useEvents(view);

  // Going from event to event is one step: Back closes the panel.
  const open = useCallback((id: string) => show({ ...view, event: id }, view.event ? "replace" : "push"), [show, view]);
  const filter = (filters: Partial<EventFilters>) => show(withFilters(view, filters));

  function close() {
    show({ ...view, event: "" });
    focusRow(view.event);
  }

  useRowKeys({ open: view.event, onOpen: open, onClose: close });

  return (
    <div className="flex min-h-full lg:h-full">
      <div className="flex min-w-0 flex-1 flex-col gap-3 p-3 sm:p-4">
        <div className="flex flex-wrap items-center justify-between gap-2">
          <h1 className="text-xl font-semibold tracking-tight">Events</h1>
          <LiveToggle
            live={view.live}
            onNewestPage={!view.cursor}
            fetching={events.query.isFetching}
            failing={events.query.isError || events.query.failureCount > 0}
            onToggle={() => show({ ...view, live: !view.live }, "replace")}
            onRefresh={() => void events.query.refetch()}
          />
        </div>
        <FilterBar filters={view} onChange={filter} />
        <EventList
          view={view}
          events={events}
          onOpen={open}
          onClear={() => filter(noFilters)}
          onPage={(cursor) => show({ ...view, cursor, since: events.since })}
        />
      </div>
      {view.event && (
        <EventPanel
          id={view.event}
          live={view.live}
          onClose={close}
          onOpen={open}
          onCorrelation={(id) => filter({ ...noFilters, id })}
        />
      )}
    </div>
  );
}
