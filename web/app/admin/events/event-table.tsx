"use client";

import type { Event } from "@intime/client/event";
import { useMemo } from "react";
import { DataTable, RowLink } from "@/components/data-table";
import { columnClasses, createColumns } from "./columns";

export function EventTable({
  rows,
  selected,
  busy,
  hrefOf,
  onOpen,
}: {
  rows: Event[];
  selected: string;
  busy: boolean;
  hrefOf: (id: string) => string;
  onOpen: (id: string) => void;
}) {
  const columns = useMemo(
    () =>
      createColumns((event, content) => (
        <RowLink id={event.id} href={hrefOf(event.id)} onOpen={onOpen}>
          {content}
        </RowLink>
      )),
    [hrefOf, onOpen],
  );
  return (
    <DataTable
      label="Events, newest first"
      columns={columns}
      columnClasses={columnClasses}
      sorted="time"
      rows={rows}
      selected={selected}
      busy={busy}
      onOpen={onOpen}
    />
  );
}
