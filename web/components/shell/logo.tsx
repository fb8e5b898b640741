import { cn } from "@/lib/cn";

/** The mark: a clock's hands that form a tick. */
export function Logo({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" className={cn("size-6", className)} aria-hidden fill="none">
      <rect width="24" height="24" rx="6.5" className="fill-primary" />
      <circle cx="12" cy="12" r="6.75" className="stroke-primary-foreground/45" strokeWidth="1.5" />
      <path
        d="m8.6 12 2.5 2.6 4.7-6"
        className="stroke-primary-foreground"
        strokeWidth="2"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
