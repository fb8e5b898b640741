"use client";

import { useQuery } from "@connectrpc/connect-query";
import { EventService } from "@intime/client/event";
import { X } from "lucide-react";
import { MultiFilter, SingleFilter } from "@/components/filter-menu";
import { Button } from "@/components/ui/button";
import { type EventFilters, type Range, type StatusName, isFiltered, noFilters, statusNames } from "./filters";
import { IdSearch } from "./id-search";
import { StatusLabel, eventStatuses } from "./status";

const statusOptions = Object.entries(statusNames).map(([name, status]) => ({
  value: name as StatusName,
  label: <StatusLabel shown={eventStatuses[status]} />,
  name: eventStatuses[status].label,
}));

const rangeOptions: { value: Range; label: string; name: string }[] = [
  { value: "15m", label: "Last 15 minutes", name: "Last 15 minutes" },
  { value: "1h", label: "Last hour", name: "Last hour" },
  { value: "24h", label: "Last 24 hours", name: "Last 24 hours" },
  { value: "7d", label: "Last 7 days", name: "Last 7 days" },
  { value: "30d", label: "Last 30 days", name: "Last 30 days" },
];

export function FilterBar({
  filters,
  onChange,
}: {
  filters: EventFilters;
  onChange: (filters: Partial<EventFilters>) => void;
}) {
  // Without them the lists hold what the URL names, no more: nothing else depends on this answer.
  const { data } = useQuery(EventService.method.listEventTypes, {}, { staleTime: 60_000 });
  const types = names(
    filters.types,
    data?.eventTypes.map((type) => type.name),
  );
  const handlers = names(
    filters.handler ? [filters.handler] : [],
    data?.eventTypes.flatMap((type) => type.handlerNames),
  );

  return (
    <div role="search" aria-label="Filter the events" className="flex flex-wrap items-center gap-1.5 sm:gap-2">
      <IdSearch id={filters.id} onChange={(id) => onChange({ id })} />
      <SingleFilter
        label="Time"
        all="Any time"
        options={rangeOptions}
        value={filters.range}
        onChange={(range) => onChange({ range })}
      />
      <MultiFilter
        label="Status"
        options={statusOptions}
        values={filters.statuses}
        onChange={(statuses) => onChange({ statuses })}
      />
      <MultiFilter label="Type" options={types} values={filters.types} onChange={(types) => onChange({ types })} />
      <SingleFilter
        label="Handler"
        all="Any handler"
        options={handlers}
        value={filters.handler}
        onChange={(handler) => onChange({ handler })}
      />
      {isFiltered(filters) && (
        <Button variant="ghost" className="px-2" onClick={() => onChange(noFilters)}>
          <X /> Clear
        </Button>
      )}
    </div>
  );
}

function names(chosen: string[], known: string[] = []) {
  return [...new Set([...known, ...chosen])].sort().map((value) => ({ value, label: value }));
}
