"use client";

import { ChevronDown } from "lucide-react";
import { lazy } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import { LazyMenu } from "./lazy-menu";

export interface FilterOption<T extends string> {
  value: T;
  label: React.ReactNode;
  /** What the button says when only this is chosen, where that is not the value itself. */
  name?: string;
}

interface Props<T extends string> {
  label: string;
  options: readonly FilterOption<T>[];
}

const load = () => import("./filter-menu-content");
const ManyContent = lazy(() => load().then((menu) => ({ default: menu.ManyContent })));
const OneContent = lazy(() => load().then((menu) => ({ default: menu.OneContent })));

/** A filter of which any number of values may be chosen; none means all. */
export function MultiFilter<T extends string>({
  label,
  options,
  values,
  onChange,
}: Props<T> & { values: readonly T[]; onChange: (values: T[]) => void }) {
  const [only] = values;
  const chosen = values.length > 1 ? `${values.length} chosen` : only && nameOf(options, only);
  const choose = (next: readonly string[]) =>
    onChange(next.filter((value): value is T => options.some((option) => option.value === value)));
  return (
    <LazyMenu load={load} trigger={trigger(label, chosen)}>
      {(menu) => <ManyContent {...menu} label={label} options={options} values={values} onChange={choose} />}
    </LazyMenu>
  );
}

/** A filter of which one value is chosen; `all` names the choice of none. */
export function SingleFilter<T extends string>({
  label,
  options,
  value,
  all,
  onChange,
}: Props<T> & { value: T | ""; all: string; onChange: (value: T | "") => void }) {
  const choose = (next: string) => onChange(options.find((option) => option.value === next)?.value ?? "");
  return (
    <LazyMenu load={load} trigger={trigger(label, value && nameOf(options, value))}>
      {(menu) => <OneContent {...menu} label={label} all={all} options={options} value={value} onChange={choose} />}
    </LazyMenu>
  );
}

function trigger(label: string, chosen: string | undefined) {
  return (
    <Button
      variant="outline"
      className={cn("max-w-64 font-normal max-sm:gap-1 max-sm:px-2", chosen && "border-ring/50 bg-selected")}
    >
      <span className={cn(chosen && "text-muted-foreground")}>{label}</span>
      {chosen && <span className="truncate font-medium">{chosen}</span>}
      <ChevronDown className="text-muted-foreground size-3.5!" />
    </Button>
  );
}

function nameOf<T extends string>(options: readonly FilterOption<T>[], value: T): string {
  return options.find((option) => option.value === value)?.name ?? value;
}
