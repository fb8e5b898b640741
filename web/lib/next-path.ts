export const home = "/admin/events/";

/** Returns where to go after signing in: a path of this site, whatever the address says. */
export function nextPath(next: string | null, origin: string): string {
  if (!next?.startsWith("/")) return home;
  const url = new URL(next, origin);
  return url.origin === origin ? url.pathname + url.search : home;
}
