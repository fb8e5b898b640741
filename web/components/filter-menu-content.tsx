"use client";

import {
  DropdownMenu,
  DropdownMenuCheckboxItem,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import type { FilterOption } from "./filter-menu";
import type { MenuProps } from "./lazy-menu";

interface Props extends MenuProps {
  label: string;
  options: readonly FilterOption<string>[];
}

/** The menu of a filter of which any number of values may be chosen. It stays open while one chooses. */
export function ManyContent({
  trigger,
  label,
  options,
  values,
  onChange,
  ...menu
}: Props & { values: readonly string[]; onChange: (values: readonly string[]) => void }) {
  return (
    <DropdownMenu modal={false} {...menu}>
      <DropdownMenuTrigger asChild>{trigger}</DropdownMenuTrigger>
      <DropdownMenuContent aria-label={label}>
        {options.length === 0 && <DropdownMenuItem disabled>There are none yet</DropdownMenuItem>}
        {options.map(({ value, label }) => (
          <DropdownMenuCheckboxItem
            key={value}
            checked={values.includes(value)}
            onSelect={(event) => event.preventDefault()}
            onCheckedChange={(checked) =>
              onChange(checked ? [...values, value] : values.filter((other) => other !== value))
            }
          >
            {label}
          </DropdownMenuCheckboxItem>
        ))}
        {values.length > 0 && (
          <>
            <DropdownMenuSeparator />
            <DropdownMenuItem onSelect={() => onChange([])}>Clear</DropdownMenuItem>
          </>
        )}
      </DropdownMenuContent>
    </DropdownMenu>
  );
}

/** The menu of a filter of which one value is chosen, or none. */
export function OneContent({
  trigger,
  label,
  all,
  options,
  value,
  onChange,
  ...menu
}: Props & { all: string; value: string; onChange: (value: string) => void }) {
  return (
    <DropdownMenu modal={false} {...menu}>
      <DropdownMenuTrigger asChild>{trigger}</DropdownMenuTrigger>
      <DropdownMenuContent aria-label={label}>
        <DropdownMenuRadioGroup value={value} onValueChange={onChange}>
          <DropdownMenuRadioItem value="">{all}</DropdownMenuRadioItem>
          {options.map(({ value, label }) => (
            <DropdownMenuRadioItem key={value} value={value}>
              {label}
            </DropdownMenuRadioItem>
          ))}
        </DropdownMenuRadioGroup>
      </DropdownMenuContent>
    </DropdownMenu>
  );
}
