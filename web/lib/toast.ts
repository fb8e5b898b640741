import type { ExternalToast } from "sonner";

/** Says in a corner of the page, for a moment, how something went. */
export const toast = {
  success: (title: string, options?: ExternalToast) => void show("success", title, options),
  error: (title: string, options?: ExternalToast) => void show("error", title, options),
};

async function show(kind: "success" | "error", title: string, options?: ExternalToast) {
  const sonner = await import("sonner");
  sonner.toast[kind](title, options);
}
