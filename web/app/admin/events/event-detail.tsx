"use client";

import type { Event } from "@intime/client/event";
import { JsonView } from "@/components/json-view";
import { ShortId } from "@/components/short-id";
import { AbsoluteTime, RelativeTime } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { duration, msOf } from "@/lib/time";
import { publisherOf } from "./columns";
import { DeliveryTimeline } from "./delivery-timeline";
import { RelatedEvents } from "./related-events";
import { Section } from "./section";
import { StatusBadge, eventStatuses } from "./status";

/** All that is known of an event: what it says, and what became of it at each handler. */
export function EventDetail({
  event,
  onOpen,
  onCorrelation,
}: {
  event: Event;
  onOpen: (id: string) => void;
  onCorrelation: (id: string) => void;
}) {
  const publishedAt = msOf(event.publishedAt) ?? 0;
  return (
    <article className="divide-y">
      <header className="space-y-1.5 p-4 pr-14">
        <div className="flex flex-wrap items-center gap-2">
          <h2 className="text-lg font-semibold wrap-anywhere">{event.type}</h2>
          <StatusBadge shown={eventStatuses[event.status]} />
        </div>
        <p className="text-muted-foreground">
          <AbsoluteTime ms={publishedAt} /> · <RelativeTime ms={publishedAt} />
        </p>
      </header>
      <Section title="Summary" hidden>
        <Summary event={event} onOpen={onOpen} onCorrelation={onCorrelation} />
      </Section>
      <Section title="Handlers">
        {event.deliveries.length === 0 && <p className="text-muted-foreground">{nobody(event)}</p>}
        <ul className="space-y-3">
          {event.deliveries.map((delivery) => (
            <li key={delivery.id}>
              <DeliveryTimeline delivery={delivery} publishedAt={publishedAt} />
            </li>
          ))}
        </ul>
      </Section>
      <RelatedEvents event={event} onOpen={onOpen} />
      <Section title="Payload">
        <JsonView value={event.payload ?? {}} what="payload" />
      </Section>
      <Section title="Metadata">
        <JsonView value={event.metadata ?? {}} what="metadata" />
      </Section>
    </article>
  );
}

function Summary({ event, onOpen, onCorrelation }: React.ComponentProps<typeof EventDetail>) {
  const publishedAt = msOf(event.publishedAt) ?? 0;
  const processedAt = msOf(event.processedAt);
  return (
    <dl className="grid grid-cols-[7.5rem_1fr] items-center gap-x-3 gap-y-1 [&_dd]:min-h-6 [&_dd]:content-center [&_dt]:text-muted-foreground">
      <dt>Event id</dt>
      <dd>
        <ShortId id={event.id} what="event id" />
      </dd>
      <dt>Published by</dt>
      <dd className="flex flex-wrap items-center gap-1.5">
        {publisherOf(event)} <Badge title="What published it">{event.source}</Badge>
      </dd>
      <dt>Processed</dt>
      <dd>{processedAt === undefined ? "Not yet" : `${duration(processedAt - publishedAt)} after it was published`}</dd>
      <dt>Schema version</dt>
      <dd>{event.schemaVersion}</dd>
      <dt>Correlation id</dt>
      <dd className="flex flex-wrap items-center gap-x-2">
        <ShortId id={event.correlationId} what="correlation id" />
        <Button variant="link" size="inline" onClick={() => onCorrelation(event.correlationId)}>
          Show its events
        </Button>
      </dd>
      {event.causationId && (
        <>
          <dt>Caused by</dt>
          <dd className="flex flex-wrap items-center gap-x-2">
            <ShortId id={event.causationId} what="id of the event that caused it" />
            <Button variant="link" size="inline" onClick={() => onOpen(event.causationId)}>
              Open
            </Button>
            <span className="text-muted-foreground">depth {event.depth}</span>
          </dd>
        </>
      )}
    </dl>
  );
}

function nobody(event: Event): string {
  return event.processedAt ? "No handler listened to this event." : "The event has not been given to its handlers yet.";
}
