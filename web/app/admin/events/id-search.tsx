"use client";

import { useId, useState } from "react";
import { SearchInput } from "@/components/search-input";
import { isId } from "./filters";

/** Finds an event by its id, or the events of a correlation id, as soon as a whole id stands there. */
export function IdSearch({ id, onChange }: { id: string; onChange: (id: string) => void }) {
  const [draft, setDraft] = useState({ id, text: id });
  // Somebody else changed the URL: "Clear", the browser's Back.
  if (draft.id !== id) setDraft({ id, text: id });
  const hintId = useId();
  const text = draft.text.trim();
  const wrong = text !== "" && !isId(text);

  function change(value: string) {
    const next = value.trim();
    const applied = next === "" || isId(next) ? next : id;
    setDraft({ id: applied, text: value });
    if (applied !== id) onChange(applied);
  }

  return (
    <SearchInput
      value={draft.text}
      label="Search by event id or correlation id"
      placeholder="Event or correlation id"
      maxLength={64}
      aria-invalid={wrong || undefined}
      aria-describedby={wrong ? hintId : undefined}
      onChange={change}
    >
      {wrong && (
        <p
          id={hintId}
          className="bg-popover absolute top-full z-20 mt-1 w-full rounded-md border px-2 py-1.5 text-xs shadow-md"
        >
          Search by a whole event id or correlation id.
        </p>
      )}
    </SearchInput>
  );
}
