import { tableFeatures } from "@tanstack/react-table";

/** What the dashboard's tables can do. The server sorts, filters and pages: nothing of that is done here. */
export const features = tableFeatures({});

export type Features = typeof features;
