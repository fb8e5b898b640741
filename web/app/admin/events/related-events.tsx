"use client";

import { useQuery } from "@connectrpc/connect-query";
import { type Event, EventService } from "@intime/client/event";
import { CornerDownRight } from "lucide-react";
import { cn } from "@/lib/cn";
import { Section } from "./section";
import { StatusBadge, eventStatuses } from "./status";

/** What led to an event and what it led to: everything of its correlation id, from the first on. */
export function RelatedEvents({ event, onOpen }: { event: Event; onOpen: (id: string) => void }) {
  const { data } = useQuery(EventService.method.listEvents, { id: event.correlationId, pageSize: 100 });
  const events = data?.events.toReversed() ?? [];
  if (events.length < 2) return null;
  return (
    <Section title="What caused it, what it caused">
      <ul className="-mx-2">
        {inOrder(events).map((related) => (
          <li key={related.id}>
            <button
              type="button"
              aria-current={related.id === event.id ? "true" : undefined}
              onClick={() => onOpen(related.id)}
              className={cn(
                "hover:bg-accent flex min-h-8 w-full items-center gap-2 rounded-md px-2 text-left",
                related.id === event.id && "bg-selected",
              )}
              style={{ paddingLeft: `${0.5 + related.depth * 1.25}rem` }}
            >
              {related.depth > 0 && <CornerDownRight className="text-muted-foreground size-3.5 shrink-0" aria-hidden />}
              <span className="min-w-0 flex-1 truncate">{related.type}</span>
              <StatusBadge shown={eventStatuses[related.status]} />
            </button>
          </li>
        ))}
      </ul>
      {data?.nextPageToken && <p className="text-muted-foreground text-xs">These are the newest 100 of them.</p>}
    </Section>
  );
}

/** Puts each event after the one that caused it; those whose cause is not there come first. */
export function inOrder(events: Event[]): Event[] {
  const ids = new Set(events.map((event) => event.id));
  const after = (cause: Event): Event[] => [
    cause,
    ...events.filter((event) => event.causationId === cause.id).flatMap(after),
  ];
  return events.filter((event) => !ids.has(event.causationId)).flatMap(after);
}
