import type { MessageInitShape } from "@bufbuild/protobuf";
import { JobStatus, type ListJobsRequestSchema } from "@intime/client/job";

/** The statuses by their names in the URL. */
export const statusNames = {
  open: JobStatus.OPEN,
  filled: JobStatus.FILLED,
  closed: JobStatus.CLOSED,
} as const;

export type StatusName = keyof typeof statusNames;

export interface JobFilters {
  query: string;
  statuses: StatusName[];
}

/** All that the page's URL says. */
export interface JobsView extends JobFilters {
  /** The token of the page shown; empty for the newest. */
  cursor: string;
  /** The id of the job in the form, "new" for one that is not there yet. */
  job: string;
}

export const noFilters: JobFilters = { query: "", statuses: [] };

export function parseView(params: URLSearchParams): JobsView {
  return {
    query: params.get("q") ?? "",
    statuses: [...new Set(params.getAll("status"))].filter((name): name is StatusName =>
      Object.hasOwn(statusNames, name),
    ),
    cursor: params.get("cursor") ?? "",
    job: params.get("job") ?? "",
  };
}

export function formatView(view: JobsView): URLSearchParams {
  const params = new URLSearchParams();
  if (view.query) params.set("q", view.query);
  for (const status of view.statuses) params.append("status", status);
  if (view.cursor) params.set("cursor", view.cursor);
  if (view.job) params.set("job", view.job);
  return params;
}

/** Returns the view with other filters: at its newest page, as a token of the old ones would be refused. */
export function withFilters(view: JobsView, filters: Partial<JobFilters>): JobsView {
  return { ...view, ...filters, cursor: "" };
}

export function isFiltered({ query, statuses }: JobFilters): boolean {
  return query !== "" || statuses.length > 0;
}

export function toRequest(view: JobsView): MessageInitShape<typeof ListJobsRequestSchema> {
  return {
    pageSize: 50,
    pageToken: view.cursor,
    query: view.query,
    statuses: view.statuses.map((name) => statusNames[name]),
  };
}
