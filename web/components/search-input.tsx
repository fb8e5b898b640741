import { Search } from "lucide-react";
import { Input } from "@/components/ui/input";
import { Kbd } from "@/components/ui/kbd";

/** The field that / goes to. Esc empties it, and leaves it when it is empty. */
export function SearchInput({
  value,
  label,
  onChange,
  children,
  ...props
}: { value: string; label: string; onChange: (value: string) => void } & Omit<
  React.ComponentProps<typeof Input>,
  "value" | "onChange" | "type"
>) {
  return (
    <div className="group relative w-full sm:w-64 xl:w-72">
      <Search className="text-muted-foreground pointer-events-none absolute top-2 left-2.5 size-4" aria-hidden />
      <Input
        type="search"
        data-search
        aria-label={label}
        spellCheck={false}
        autoComplete="off"
        className="pl-8 [&::-webkit-search-cancel-button]:hidden"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (value === "") event.currentTarget.blur();
          else onChange("");
        }}
        {...props}
      />
      {value === "" && <Kbd className="absolute top-1.5 right-2 group-focus-within:hidden max-sm:hidden">/</Kbd>}
      {children}
    </div>
  );
}
