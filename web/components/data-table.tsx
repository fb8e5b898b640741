"use client";

import { type ColumnDef, type RowData, useTable } from "@tanstack/react-table";
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from "@/components/ui/table";
import { cn } from "@/lib/cn";
import { type Features, features } from "@/lib/table";

/** Rows of a list. A click anywhere in a row opens it; its RowLink is what the keyboard reaches. */
export function DataTable<Row extends RowData & { id: string }>({
  label,
  columns,
  columnClasses,
  sorted,
  rows,
  selected,
  busy,
  onOpen,
}: {
  label: string;
  columns: readonly ColumnDef<Features, Row>[];
  /** The classes of a column's cells, by its id: how wide it is, and on which widths of the list it is shown. */
  columnClasses: Record<string, string>;
  /** The id of the column that the rows are sorted by, newest first. */
  sorted?: string;
  rows: Row[];
  /** The id of the row that is open. */
  selected: string;
  /** Whether the rows are about to be replaced by others. */
  busy: boolean;
  onOpen: (id: string) => void;
}) {
  const table = useTable({ features, columns, data: rows, getRowId: (row) => row.id });
  return (
    <Table aria-label={label} aria-busy={busy} className={cn(busy && "opacity-60 transition-opacity")}>
      <TableHeader>
        {table.getHeaderGroups().map((group) => (
          <tr key={group.id}>
            {group.headers.map((header) => (
              <TableHead
                key={header.id}
                className={columnClasses[header.column.id]}
                aria-sort={header.column.id === sorted ? "descending" : undefined}
              >
                <table.FlexRender header={header} />
              </TableHead>
            ))}
          </tr>
        ))}
      </TableHeader>
      <TableBody>
        {table.getRowModel().rows.map((row) => (
          <TableRow
            key={row.id}
            data-state={row.id === selected ? "selected" : undefined}
            className="cursor-pointer"
            onClick={(click) => {
              const onControl = click.target instanceof Element && click.target.closest("a, button");
              if (!onControl && window.getSelection()?.isCollapsed !== false) onOpen(row.id);
            }}
          >
            {row.getAllCells().map((cell) => (
              <TableCell key={cell.id} className={columnClasses[cell.column.id]}>
                <table.FlexRender cell={cell} />
              </TableCell>
            ))}
          </TableRow>
        ))}
      </TableBody>
    </Table>
  );
}

/** The link of a row: opens it in place, or in a tab of its own where the person asks for that. */
export function RowLink({
  id,
  href,
  onOpen,
  children,
}: {
  id: string;
  href: string;
  onOpen: (id: string) => void;
  children: React.ReactNode;
}) {
  return (
    <a
      href={href}
      data-row-link={id}
      className="block truncate font-medium"
      onClick={(click) => {
        if (click.metaKey || click.ctrlKey || click.shiftKey) return;
        click.preventDefault();
        onOpen(id);
      }}
    >
      {children}
    </a>
  );
}

export function rowLinks(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[data-row-link]")];
}
