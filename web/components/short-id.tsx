import { cn } from "@/lib/cn";
import { CopyButton } from "./copy-button";

/** An id, shortened in the middle, with a button that copies all of it. */
export function ShortId({ id, what, className }: { id: string; what: string; className?: string }) {
  return (
    <span data-slot="short-id" className={cn("inline-flex items-center gap-0.5 whitespace-nowrap", className)}>
      <span className="font-mono text-xs" title={id}>
        {shorten(id)}
      </span>
      <CopyButton text={id} what={what} />
    </span>
  );
}

/** Keeps the first 8 and the last 4 characters: of a time-sorted UUID these are when, and which. */
export function shorten(id: string): string {
  return id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;
}
