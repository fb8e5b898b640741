import { cn } from "@/lib/cn";

export function Checkbox({ className, ...props }: Omit<React.ComponentProps<"input">, "type">) {
  return (
    <input
      data-slot="checkbox"
      type="checkbox"
      className={cn("accent-primary size-4 rounded-sm", className)}
      {...props}
    />
  );
}
