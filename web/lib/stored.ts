import { useSyncExternalStore } from "react";

/** A choice of a person that the browser remembers, shared by all its pages. Never for secrets: any script can read it. */
export interface Stored<T extends string> {
  get: () => T;
  set: (value: T) => void;
  subscribe: (listener: () => void) => () => void;
}

/** Returns the choice kept under a key. Whatever else is found there counts as the first of the values. */
export function stored<T extends string>(key: string, values: readonly [T, ...T[]]): Stored<T> {
  const listeners = new Set<() => void>();
  let memory: T | undefined;
  const notify = () => listeners.forEach((listener) => listener());
  return {
    get() {
      const value = memory ?? read(key);
      return values.find((known) => known === value) ?? values[0];
    },
    set(value) {
      try {
        localStorage.setItem(key, value);
      } catch {
        memory = value; // the browser keeps nothing: the choice lasts as long as the page
      }
      notify();
    },
    subscribe(listener) {
      const onStorage = (event: StorageEvent) => event.key === key && listener();
      listeners.add(listener);
      window.addEventListener("storage", onStorage);
      return () => {
        listeners.delete(listener);
        window.removeEventListener("storage", onStorage);
      };
    },
  };
}

export function useStored<T extends string>(choice: Stored<T>, before: T): T {
  return useSyncExternalStore(choice.subscribe, choice.get, () => before);
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
