import type { Event } from "@intime/client/event";
import { createColumnHelper } from "@tanstack/react-table";
import { ShortId } from "@/components/short-id";
import { RelativeTime } from "@/components/time";
import type { Features } from "@/lib/table";
import { msOf } from "@/lib/time";
import { OutcomeBar } from "./outcome-bar";
import { StatusBadge, eventStatuses } from "./status";

const column = createColumnHelper<Features, Event>();

/** Where a column is shown: the narrower the list, the fewer. Beside an open panel it is narrow on any screen. */
export const columnClasses: Record<string, string> = {
  time: "hidden w-20 @lg:table-cell",
  type: "max-w-0 w-full @4xl:w-1/4",
  status: "",
  outcome: "@max-xs:hidden",
  retries: "hidden w-16 text-right tabular-nums @2xl:table-cell",
  error: "hidden max-w-0 w-3/4 @4xl:table-cell",
  publishedBy: "hidden max-w-44 @3xl:table-cell",
  correlation: "hidden w-44 @5xl:table-cell",
};

export function createColumns(link: (event: Event, content: React.ReactNode) => React.ReactNode) {
  return column.columns([
    column.accessor((event) => msOf(event.publishedAt) ?? 0, {
      id: "time",
      header: "Published",
      cell: ({ getValue }) => <RelativeTime ms={getValue()} className="text-muted-foreground" />,
    }),
    column.accessor("type", {
      header: "Type",
      cell: ({ row: { original: event }, getValue }) => (
        <div className="min-w-0">
          {link(event, getValue())}
          <p className="text-muted-foreground truncate text-xs @lg:hidden">
            <RelativeTime ms={msOf(event.publishedAt) ?? 0} /> · {publisherOf(event)}
          </p>
        </div>
      ),
    }),
    column.accessor("status", {
      header: "Status",
      cell: ({ getValue }) => <StatusBadge shown={eventStatuses[getValue()]} />,
    }),
    column.accessor("deliveries", {
      id: "outcome",
      header: "Handlers",
      cell: ({ getValue }) => <OutcomeBar deliveries={getValue()} />,
    }),
    column.accessor("retryCount", {
      id: "retries",
      header: "Retries",
      cell: ({ getValue }) => (getValue() === 0 ? <span className="text-muted-foreground">–</span> : getValue()),
    }),
    column.accessor("errorMessage", {
      id: "error",
      header: "Error",
      cell: ({ getValue }) => (
        <p className="text-danger truncate" title={getValue()}>
          {firstLine(getValue())}
        </p>
      ),
    }),
    column.accessor(publisherOf, {
      id: "publishedBy",
      header: "Published by",
      cell: ({ row: { original: event }, getValue }) => (
        <p className="truncate" title={`Published by ${getValue()} through: ${event.source}`}>
          {getValue()}
        </p>
      ),
    }),
    column.accessor("correlationId", {
      id: "correlation",
      header: "Correlation",
      cell: ({ getValue }) => <ShortId id={getValue()} what="correlation id" className="text-muted-foreground" />,
    }),
  ]);
}

/** Returns who published an event, as far as the person may know it. */
export function publisherOf(event: Event): string {
  return event.createdByName || (event.createdBy ? "Somebody" : "System");
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
