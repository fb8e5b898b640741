import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void) {
  listeners.add(listener);
  timer ??= setInterval(() => listeners.forEach((tick) => tick()), 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Returns what a function makes of the current time, looked at each second; renders again only when that changes. */
export function useClock<T extends string | number>(read: (now: number) => T, before: T): T {
  return useSyncExternalStore(
    subscribe,
    () => read(Date.now()),
    () => before,
  );
}
