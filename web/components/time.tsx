"use client";

import { useClock } from "@/lib/clock";
import { cn } from "@/lib/cn";
import { useStored } from "@/lib/stored";
import { absoluteTime, relativeTime, zone } from "@/lib/time";

/**
 * How long ago something was. On hover, and while the row or control around it has the focus, the time itself with its
 * zone and milliseconds.
 */
export function RelativeTime({ ms, className }: { ms: number; className?: string }) {
  const relative = useClock((now) => relativeTime(ms, now), "");
  const absolute = useAbsoluteTime(ms);
  return (
    <time
      data-slot="relative-time"
      dateTime={new Date(ms).toISOString()}
      className={cn("group/time relative whitespace-nowrap tabular-nums", className)}
    >
      {relative}
      <span className="bg-primary text-primary-foreground invisible absolute bottom-full left-0 z-20 mb-1.5 rounded-md px-2 py-1 text-xs font-normal group-hover/time:visible group-has-[:focus-visible]/row:visible">
        {absolute}
      </span>
    </time>
  );
}

/** A time with its zone and milliseconds. */
export function AbsoluteTime({ ms, className }: { ms: number; className?: string }) {
  return (
    <time dateTime={new Date(ms).toISOString()} className={cn("tabular-nums", className)}>
      {useAbsoluteTime(ms)}
    </time>
  );
}

function useAbsoluteTime(ms: number): string {
  return absoluteTime(ms, useStored(zone, "utc"));
}
