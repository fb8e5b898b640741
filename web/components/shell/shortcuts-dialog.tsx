"use client";

import {
  Dialog,
  DialogBody,
  DialogContent,
  DialogDescription,
  DialogHeader,
  DialogTitle,
} from "@/components/ui/dialog";
import { Kbd } from "@/components/ui/kbd";
import { navigation } from "./navigation";

const shortcuts: readonly (readonly [keys: string, what: string])[] = [
  ["j", "Next row"],
  ["k", "Previous row"],
  ["Enter", "Open the row"],
  ["Esc", "Close what is open"],
  ["/", "Search"],
  ...navigation.map(({ key, label }) => [`g ${key}`, `Go to ${label}`] as const),
  ["?", "This list"],
];

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent className="max-w-sm">
        <DialogHeader>
          <DialogTitle>Keyboard shortcuts</DialogTitle>
          <DialogDescription>They are off while you type.</DialogDescription>
        </DialogHeader>
        <DialogBody className="pb-5">
          <dl className="divide-y">
            {shortcuts.map(([keys, what]) => (
              <div key={keys} className="flex items-center justify-between py-1.5">
                <dt>{what}</dt>
                <dd className="flex gap-1">
                  {keys.split(" ").map((key) => (
                    <Kbd key={key}>{key}</Kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </DialogBody>
      </DialogContent>
    </Dialog>
  );
}
