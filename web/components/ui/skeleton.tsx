import { cn } from "@/lib/cn";

export function Skeleton({ className, ...props }: React.ComponentProps<"div">) {
  return (
    <div data-slot="skeleton" className={cn("bg-muted-foreground/12 animate-pulse rounded-md", className)} {...props} />
  );
}
