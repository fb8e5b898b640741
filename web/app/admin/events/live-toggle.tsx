import { RotateCw } from "lucide-react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";

/** Turns the list's updates on and off, and asks for one now. */
export function LiveToggle({
  live,
  onNewestPage,
  fetching,
  failing,
  onToggle,
  onRefresh,
}: {
  live: boolean;
  /** Only the newest page changes by itself. */
  onNewestPage: boolean;
  fetching: boolean;
  failing: boolean;
  onToggle: () => void;
  onRefresh: () => void;
}) {
  const on = live && onNewestPage;
  const label = !onNewestPage ? "Paused on older pages" : !live ? "Paused" : failing ? "Reconnecting" : "Live";
  return (
    <div className="flex items-center gap-1">
      <Button
        variant="outline"
        aria-pressed={on}
        disabled={!onNewestPage}
        onClick={onToggle}
        title={
          on
            ? "New events are looked for every few seconds. Click to pause."
            : "Click to look for new events all the time."
        }
      >
        <span
          aria-hidden
          className={cn(
            "size-2 rounded-full",
            on ? (failing ? "bg-warning" : "bg-success") : "border-muted-foreground border",
          )}
        />
        {label}
      </Button>
      <Button variant="ghost" size="icon" onClick={onRefresh} aria-label="Refresh" title="Refresh">
        <RotateCw className={cn(fetching && !on && "animate-spin")} />
      </Button>
    </div>
  );
}
