"use client";

import { Code } from "@connectrpc/connect";
import { useQuery } from "@connectrpc/connect-query";
import { EventService, EventStatus } from "@intime/client/event";
import { SearchX, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { ErrorState, State } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Skeleton } from "@/components/ui/skeleton";
import { useMediaQuery } from "@/hooks/use-media-query";
import { EventDetail } from "./event-detail";

interface Props {
  /** The id of the event. */
  id: string;
  /** Whether it is brought up to date while it is still being handled. */
  live: boolean;
  onClose: () => void;
  onOpen: (id: string) => void;
  onCorrelation: (id: string) => void;
}

const pollMs = 1500;

/** An event beside the list; on a screen that has no room for both, above it. */
export function EventPanel(props: Props) {
  const beside = useMediaQuery("(min-width: 1180px)");
  return beside ? <BesidePanel {...props} /> : <CoveringPanel {...props} />;
}

function BesidePanel(props: Props) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.focus(), []);
  return (
    <aside
      ref={panel}
      tabIndex={-1}
      aria-label="Event"
      className="bg-card relative w-120 shrink-0 overflow-y-auto border-l outline-none 2xl:w-144"
    >
      <Button
        variant="ghost"
        size="icon"
        className="bg-card absolute top-3 right-3 z-10"
        onClick={props.onClose}
        aria-label="Close"
        title="Close (Esc)"
      >
        <X />
      </Button>
      <Loaded {...props} />
    </aside>
  );
}

function CoveringPanel(props: Props) {
  return (
    <Dialog open onOpenChange={(open) => !open && props.onClose()}>
      <DialogContent side="right" onCloseAutoFocus={(event) => event.preventDefault()}>
        <DialogTitle className="sr-only">Event</DialogTitle>
        <DialogDescription className="sr-only">
          What the event says, and what became of it at each handler
        </DialogDescription>
        <div className="min-h-0 flex-1 overflow-y-auto">
          <Loaded {...props} />
        </div>
      </DialogContent>
    </Dialog>
  );
}

function Loaded({ id, live, onOpen, onCorrelation }: Props) {
  const query = useQuery(
    EventService.method.getEvent,
    { id },
    {
      refetchInterval: ({ state }) => {
        const status = state.data?.event?.status;
        return live && (status === EventStatus.PENDING || status === EventStatus.FAILED) ? pollMs : false;
      },
    },
  );
  const event = query.data?.event;
  if (event) return <EventDetail key={event.id} event={event} onOpen={onOpen} onCorrelation={onCorrelation} />;
  if (query.error?.code === Code.NotFound || query.error?.code === Code.InvalidArgument) {
    return (
      <State icon={<SearchX />} title="There is no such event">
        <p>It may belong to another organisation, or the address may be mistyped.</p>
      </State>
    );
  }
  if (query.error) {
    return (
      <ErrorState title="The event could not be loaded" error={query.error} onRetry={() => void query.refetch()} />
    );
  }
  return (
    <div role="status" aria-label="Loading the event" className="space-y-4 p-4">
      <Skeleton className="h-6 w-48" />
      <Skeleton className="h-40 w-full" />
      <Skeleton className="h-32 w-full" />
    </div>
  );
}
