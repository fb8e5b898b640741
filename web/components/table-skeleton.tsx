import { Skeleton } from "@/components/ui/skeleton";

/** The outline of a list that is loading. */
export function TableSkeleton({ label }: { label: string }) {
  return (
    <div role="status" aria-label={label} className="divide-y">
      {Array.from({ length: 12 }, (_, i) => (
        <div key={i} className="flex h-9 items-center gap-4 px-3">
          <Skeleton className="h-3 w-12 max-sm:hidden" />
          <Skeleton className="h-3 w-40" />
          <Skeleton className="h-5 w-20" />
          <Skeleton className="ml-auto h-3 w-1/4 max-sm:hidden" />
        </div>
      ))}
    </div>
  );
}
