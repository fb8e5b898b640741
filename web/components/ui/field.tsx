"use client";

import { useId } from "react";
import { cn } from "@/lib/cn";

interface ControlProps {
  id: string;
  "aria-invalid"?: true;
  "aria-describedby"?: string;
}

/** A labelled control with what helps to fill it in, or what is wrong with it. */
export function Field({
  label,
  hint,
  error,
  optional = false,
  className,
  children,
}: {
  label: string;
  hint?: React.ReactNode;
  error?: string | undefined;
  optional?: boolean;
  className?: string;
  children: (control: ControlProps) => React.ReactNode;
}) {
  const id = useId();
  const described = error ?? hint;
  return (
    <div data-slot="field" className={cn("space-y-1.5", className)}>
      <label htmlFor={id} className="flex items-baseline gap-1.5 text-sm font-medium">
        {label}
        {optional && <span className="text-muted-foreground text-xs font-normal">optional</span>}
      </label>
      {children({
        id,
        ...(error !== undefined && { "aria-invalid": true as const }),
        ...(described !== undefined && { "aria-describedby": `${id}-about` }),
      })}
      {described !== undefined && (
        <p
          id={`${id}-about`}
          className={cn("text-xs", error === undefined ? "text-muted-foreground" : "text-danger font-medium")}
        >
          {described}
        </p>
      )}
    </div>
  );
}
