import { createConnectQueryKey } from "@connectrpc/connect-query";
import { permissionOf } from "@intime/client";
import { EventService } from "@intime/client/event";
import { JobService } from "@intime/client/job";
import { expect, test } from "vitest";
import { eventQueries } from "@/app/admin/jobs/use-job-mutations";
import { navigation } from "@/components/shell/navigation";

// What is written out to keep a page small is what the schema says.
test("the navigation asks for the permission of each page's first call", () => {
  const first = { "/admin/events/": EventService.method.listEvents, "/admin/jobs/": JobService.method.listJobs };
  expect(Object.fromEntries(navigation.map(({ href, permission }) => [href, permission]))).toEqual(
    Object.fromEntries(Object.entries(first).map(([href, method]) => [href, permissionOf(method)])),
  );
});

test("jobs name the queries of events as connect-query does", () => {
  expect(eventQueries).toEqual(createConnectQueryKey({ schema: EventService, cardinality: undefined }));
});
