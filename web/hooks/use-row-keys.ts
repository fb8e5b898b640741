import { rowLinks } from "@/components/data-table";
import { useShortcuts } from "./use-shortcuts";

/** The keys of a list: j and k go from row to row, / to the search, Esc closes the row that is open. */
export function useRowKeys({
  open,
  onOpen,
  onClose,
}: {
  open: string;
  onOpen: (id: string) => void;
  onClose: () => void;
}) {
  function move(step: 1 | -1) {
    const links = rowLinks();
    const here = links.findIndex((link) => (open ? link.dataset["rowLink"] === open : link === document.activeElement));
    const next = links[here < 0 ? 0 : here + step];
    if (!next) return;
    next.scrollIntoView({ block: "nearest" });
    if (open) onOpen(next.dataset["rowLink"] ?? "");
    else next.focus();
  }

  useShortcuts({
    j: () => move(1),
    k: () => move(-1),
    "/": () => document.querySelector<HTMLElement>("[data-search]")?.focus(),
    ...(open && { Escape: onClose }),
  });
}

/** Gives the focus back to the row of something that was closed. The row may be a moment away, behind what closes. */
export function focusRow(id: string) {
  setTimeout(
    () =>
      rowLinks()
        .find((link) => link.dataset["rowLink"] === id)
        ?.focus(),
    0,
  );
}
