"use client";

import { X } from "lucide-react";
import { MultiFilter } from "@/components/filter-menu";
import { TextSearch } from "@/components/text-search";
import { Button } from "@/components/ui/button";
import { type JobFilters, type StatusName, isFiltered, noFilters, statusNames } from "./filters";
import { jobStatuses } from "./status";

const statusOptions = Object.entries(statusNames).map(([name, status]) => ({
  value: name as StatusName,
  label: jobStatuses[status].label,
  name: jobStatuses[status].label,
}));

export function FilterBar({
  filters,
  onChange,
}: {
  filters: JobFilters;
  onChange: (filters: Partial<JobFilters>) => void;
}) {
  return (
    <div role="search" aria-label="Filter the jobs" className="flex flex-wrap items-center gap-1.5 sm:gap-2">
      <TextSearch
        text={filters.query}
        label="Search in title, location and skills"
        placeholder="Title, location or skill"
        onChange={(query) => onChange({ query })}
      />
      <MultiFilter
        label="Status"
        options={statusOptions}
        values={filters.statuses}
        onChange={(statuses) => onChange({ statuses })}
      />
      {isFiltered(filters) && (
        <Button variant="ghost" className="px-2" onClick={() => onChange(noFilters)}>
          <X /> Clear
        </Button>
      )}
    </div>
  );
}
