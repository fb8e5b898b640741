"use client";

import { Code, type ConnectError } from "@connectrpc/connect";
import { messageOf } from "@intime/client";
import { EventService } from "@intime/client/event";
import { ArrowUp, TriangleAlert } from "lucide-react";
import { useCallback } from "react";
import { Pages } from "@/components/pages";
import { ErrorState, ForbiddenState, State } from "@/components/states";
import { TableSkeleton } from "@/components/table-skeleton";
import { Button } from "@/components/ui/button";
import { FirstUse, NoMatch } from "./empty";
import { EventTable } from "./event-table";
import { type EventsView, formatView, isFiltered } from "./filters";
import type { useEvents } from "./use-events";

interface Props {
  view: EventsView;
  events: ReturnType<typeof useEvents>;
  onOpen: (id: string) => void;
  onClear: () => void;
  /** Goes to the page of a token; to the newest for none. */
  onPage: (cursor: string) => void;
}

/** The list in whatever state it is: loading, broken, empty, or full of rows. */
export function EventList(props: Props) {
  const { view, events, onPage } = props;
  const { query, rows, outdated, nextPageToken } = events;
  return (
    <>
      {query.error && rows.length > 0 && !outdated && <OldRows error={query.error} />}
      <div className="bg-card @container relative rounded-lg border shadow-2xs max-lg:overflow-clip lg:min-h-0 lg:flex-1 lg:overflow-y-auto">
        <WaitingButton events={events} />
        <Content {...props} />
      </div>
      <Pages
        cursor={view.cursor}
        next={outdated ? "" : nextPageToken}
        about={view.cursor ? "Older events" : `The newest ${rows.length} events`}
        onPage={onPage}
      />
    </>
  );
}

function Content({ view, events, onOpen, onClear, onPage }: Props) {
  const { query, rows, outdated } = events;
  const hrefOf = useCallback((id: string) => `?${formatView({ ...view, event: id })}`, [view]);

  if (query.error && (outdated || rows.length === 0)) {
    if (query.error.code === Code.PermissionDenied) {
      return <ForbiddenState method={EventService.method.listEvents} what="see events" />;
    }
    return (
      <ErrorState title="The events could not be loaded" error={query.error} onRetry={() => void query.refetch()} />
    );
  }
  if (query.isPending) return <TableSkeleton label="Loading events" />;
  if (rows.length > 0) {
    return <EventTable rows={rows} selected={view.event} busy={outdated} hrefOf={hrefOf} onOpen={onOpen} />;
  }
  if (outdated) return <TableSkeleton label="Loading events" />;
  if (view.cursor) return <NoMoreEvents onNewest={() => onPage("")} />;
  return isFiltered(view) ? <NoMatch onClear={onClear} /> : <FirstUse />;
}

/** Says how many newer events there are; they come in when asked for, so that nothing moves under the reader. */
function WaitingButton({ events: { waiting, waitingMore, showWaiting } }: Pick<Props, "events">) {
  return (
    <div role="status" className="sticky top-10 z-20 flex h-0 justify-center">
      {waiting > 0 && (
        <Button size="sm" className="rounded-full px-3 shadow-lg" onClick={showWaiting}>
          <ArrowUp />
          {`${waiting}${waitingMore ? "+" : ""} new ${waiting === 1 ? "event" : "events"} · show`}
        </Button>
      )}
    </div>
  );
}

function OldRows({ error }: { error: ConnectError }) {
  return (
    <div
      role="alert"
      className="bg-warning-subtle border-warning-line text-warning flex items-center gap-2 rounded-lg border px-3 py-2"
    >
      <TriangleAlert className="size-4 shrink-0" aria-hidden />
      <p>These rows may be out of date. {messageOf(error)}</p>
    </div>
  );
}

function NoMoreEvents({ onNewest }: { onNewest: () => void }) {
  return (
    <State
      icon={<ArrowUp />}
      title="No older events"
      actions={
        <Button variant="outline" onClick={onNewest}>
          To the newest
        </Button>
      }
    />
  );
}
