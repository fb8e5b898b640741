import { Skeleton } from "@/components/ui/skeleton";
import { Logo } from "./logo";

/** The outline of the shell while it is not known who is signed in. */
export function ShellSkeleton() {
  return (
    <div role="status" aria-label="Loading" className="flex h-dvh">
      <div className="bg-sidebar hidden w-52 shrink-0 border-r p-3 lg:block">
        <Logo />
      </div>
      <div className="flex-1">
        <div className="flex h-12 items-center border-b px-4">
          <Skeleton className="h-4 w-40" />
        </div>
        <div className="space-y-3 p-4">
          <Skeleton className="h-6 w-32" />
          <Skeleton className="h-8 w-full max-w-xl" />
          <Skeleton className="h-72 w-full" />
        </div>
      </div>
    </div>
  );
}
