"use client";

import { Dialog, DialogContent, DialogDescription, DialogTitle } from "@/components/ui/dialog";
import { Brand } from "./brand";
import { Navigation } from "./navigation-list";

/** The navigation on a screen that has no room for it beside the page. */
export function NavigationSheet({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent side="left">
        <DialogTitle className="sr-only">Navigation</DialogTitle>
        <DialogDescription className="sr-only">The pages of the dashboard</DialogDescription>
        <Brand />
        <Navigation onGo={onClose} />
      </DialogContent>
    </Dialog>
  );
}
