"use client";

import { useEffect, useEffectEvent, useState } from "react";
import { SearchInput } from "./search-input";

const pauseMs = 250;

/** Searches for a text once the person pauses. */
export function TextSearch({
  text,
  label,
  placeholder,
  onChange,
}: {
  text: string;
  label: string;
  placeholder: string;
  onChange: (text: string) => void;
}) {
  const [draft, setDraft] = useState({ text, typed: text });
  // Somebody else changed the URL: "Clear", the browser's Back.
  if (draft.text !== text) setDraft({ text, typed: draft.typed.trim() === text ? draft.typed : text });

  const apply = useEffectEvent((typed: string) => {
    if (typed.trim() !== text) onChange(typed.trim());
  });
  useEffect(() => {
    const timer = setTimeout(() => apply(draft.typed), pauseMs);
    return () => clearTimeout(timer);
  }, [draft.typed]);

  return (
    <SearchInput
      value={draft.typed}
      label={label}
      placeholder={placeholder}
      maxLength={200}
      onChange={(typed) => setDraft({ text, typed })}
    />
  );
}
