import { Button } from "@/components/ui/button";

/** Leads to the older rows, and back to the newest. Pages before the one shown are what the browser's Back is for. */
export function Pages({
  cursor,
  next,
  about,
  onPage,
}: {
  /** The token of the page shown; empty for the newest. */
  cursor: string;
  /** The token of the next page; empty where there is none. */
  next: string;
  about: string;
  onPage: (token: string) => void;
}) {
  if (!cursor && !next) return null;
  return (
    <nav aria-label="Pages" className="flex items-center justify-between gap-2">
      <p className="text-muted-foreground text-xs">{about}</p>
      <div className="flex gap-2">
        {cursor && (
          <Button variant="outline" size="sm" onClick={() => onPage("")}>
            Newest
          </Button>
        )}
        <Button variant="outline" size="sm" disabled={!next} onClick={() => onPage(next)}>
          Older
        </Button>
      </div>
    </nav>
  );
}
