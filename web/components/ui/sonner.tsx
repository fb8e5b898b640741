"use client";

import { Toaster as Sonner } from "sonner";

/** Where toasts appear. They take their colours from the page, so they follow its theme. */
export function Toaster() {
  return (
    <Sonner
      position="bottom-right"
      gap={8}
      toastOptions={{
        unstyled: true,
        classNames: {
          toast:
            "bg-popover text-popover-foreground flex w-[calc(100vw-2rem)] items-start gap-2.5 rounded-lg border p-3 text-sm shadow-lg sm:w-88",
          title: "font-medium",
          description: "text-muted-foreground",
          icon: "mt-0.5 size-4 shrink-0",
          success: "[&_[data-icon]]:text-success",
          error: "[&_[data-icon]]:text-danger",
          actionButton: "text-link ml-auto shrink-0 font-medium hover:underline",
        },
      }}
    />
  );
}
