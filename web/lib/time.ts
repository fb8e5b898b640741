import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { stored } from "./stored";

export const zones = ["local", "utc"] as const;
export type Zone = (typeof zones)[number];

/** Whether times are shown in the person's own time zone or in UTC. */
export const zone = stored<Zone>("intime.time-zone", zones);

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** Returns how long ago a time is, short enough for a table: "now", "12s ago", "5m ago", "in 30s". */
export function relativeTime(ms: number, now: number): string {
  const distance = Math.abs(now - ms);
  if (distance < second) return "now";
  const text = coarse(distance);
  return ms > now ? `in ${text}` : `${text} ago`;
}

function coarse(ms: number): string {
  if (ms < minute) return `${Math.floor(ms / second)}s`;
  if (ms < hour) return `${Math.floor(ms / minute)}m`;
  if (ms < day) return `${Math.floor(ms / hour)}h`;
  return `${Math.floor(ms / day)}d`;
}

/** Returns a time with its zone and milliseconds: "23 Nov 2026, 18:14:05.123 UTC". */
export function absoluteTime(ms: number, zone: Zone): string {
  return format(zone, {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    timeZoneName: "short",
  }).format(ms);
}

/** Returns the time of day with milliseconds: "18:14:05.123". */
export function timeOfDay(ms: number, zone: Zone): string {
  return format(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }).format(ms);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat("en-GB", {
    ...options,
    hourCycle: "h23",
    ...(zone === "utc" && { timeZone: "UTC" }),
  });
  formats.set(key, made);
  return made;
}

/** Returns how long something took: "4 ms", "1.2 s", "3 min 20 s", "2 h 5 min". */
export function duration(ms: number): string {
  if (ms < second) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10 * second) return `${(ms / second).toFixed(1)} s`;
  if (ms < minute) return `${Math.round(ms / second)} s`;
  if (ms < hour) return two(ms, minute, "min", second, "s");
  if (ms < day) return two(ms, hour, "h", minute, "min");
  return two(ms, day, "d", hour, "h");
}

function two(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${largeName}${rest > 0 ? ` ${rest} ${smallName}` : ""}`;
}

/** Returns a timestamp in milliseconds since 1970; undefined for an absent one. */
export function msOf(timestamp: Timestamp | undefined): number | undefined {
  return timestamp && timestampMs(timestamp);
}
