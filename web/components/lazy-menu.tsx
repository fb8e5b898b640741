"use client";

import { Slot } from "radix-ui";
import { Suspense, useState } from "react";

export interface MenuProps {
  /** The button that opens the menu. */
  trigger: React.ReactElement;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

/** A button whose menu is loaded when somebody is about to open it: no page needs all of its menus to begin with. */
export function LazyMenu({
  trigger,
  load,
  children,
}: {
  trigger: React.ReactElement;
  /** Fetches what the children are made of. */
  load: () => Promise<unknown>;
  children: (menu: MenuProps) => React.ReactNode;
}) {
  const [open, setOpen] = useState(false);
  const [wanted, setWanted] = useState(false);

  if (wanted) return <Suspense fallback={trigger}>{children({ trigger, open, onOpenChange: setOpen })}</Suspense>;

  function start() {
    setWanted(true);
    setOpen(true);
  }
  return (
    <Slot.Root
      aria-haspopup="menu"
      aria-expanded={false}
      onPointerEnter={() => void load()}
      onFocus={() => void load()}
      onClick={start}
      onKeyDown={(event: React.KeyboardEvent) => {
        if (event.key !== "ArrowDown") return;
        event.preventDefault();
        start();
      }}
    >
      {trigger}
    </Slot.Root>
  );
}
