import { usePathname } from "next/navigation";
import { useCallback } from "react";

/**
 * Returns a function that changes the page's query, which is where lists keep their state. It stays on the page: the
 * router takes note of the new address without loading anything.
 */
export function useGo() {
  const pathname = usePathname();
  return useCallback(
    (params: URLSearchParams, how: "push" | "replace" = "push") => {
      const url = params.size > 0 ? `${pathname}?${params}` : pathname;
      if (how === "push") window.history.pushState(null, "", url);
      else window.history.replaceState(null, "", url);
    },
    [pathname],
  );
}
