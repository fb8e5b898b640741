import { useEffect, useEffectEvent } from "react";

/** Keys, as KeyboardEvent.key has them, and what they do. Two keys after each other are written with a space: "g e". */
export type Shortcuts = Record<string, (event: KeyboardEvent) => void>;

const sequenceMs = 1000;

/** Listens for keys while the component is shown; off while typing, with a modifier, and while a dialog or menu is open. */
export function useShortcuts(shortcuts: Shortcuts) {
  const press = useEffectEvent((key: string, event: KeyboardEvent) => {
    const action = shortcuts[key];
    if (!action) return false;
    action(event);
    return true;
  });

  useEffect(() => {
    let prefix = "";
    let pressedAt = 0;
    function onKeyDown(event: KeyboardEvent) {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target)) return;
      const sequence = event.timeStamp - pressedAt < sequenceMs ? `${prefix} ${event.key}` : "";
      prefix = event.key;
      pressedAt = event.timeStamp;
      if ((sequence && press(sequence, event)) || press(event.key, event)) event.preventDefault();
    }
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

function isBusy(target: EventTarget | null): boolean {
  if (target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select")))
    return true;
  return document.querySelector('[role="dialog"], [role="menu"]') !== null;
}
