import { Code } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { JobSchema } from "@intime/client/job";
import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { describe, expect, test } from "vitest";
import { JobsPage } from "@/app/admin/jobs/jobs-page";
import { FakeServer, failure, someJobs } from "./fake";
import { openAs } from "./render";

function openJobs(query = "", role = "admin", server = new FakeServer()) {
  server.jobs = someJobs(Date.now());
  return openAs(role, `/admin/jobs/${query}`, <JobsPage />, server);
}

const rows = async () =>
  within(await screen.findByRole("table"))
    .getAllByRole("row")
    .slice(1);

test("the list is searched, and the search is in the URL", async () => {
  openJobs();
  expect(await rows()).toHaveLength(23);
  await userEvent.type(screen.getByRole("searchbox"), "kafka");
  await waitFor(() => expect(window.location.search).toBe("?q=kafka"));
  await waitFor(async () => expect(await rows()).toHaveLength(6));
});

describe("the form", () => {
  test("creates a job under the schema's rules", async () => {
    const { server } = openJobs();
    await userEvent.click(await screen.findByRole("button", { name: "New job" }));
    expect(window.location.search).toBe("?job=new");
    const title = await screen.findByLabelText("Title", {}, { timeout: 5000 });
    await userEvent.click(screen.getByRole("button", { name: "Create job" }));
    expect(await screen.findByText("Give the job a title of 1 to 200 characters.")).toBeTruthy();
    expect(server.calls).not.toContain("createJob");

    await userEvent.type(title, "Architect");
    await userEvent.type(screen.getByLabelText("Description"), "Draws the plan and keeps it true.");
    await userEvent.type(screen.getByLabelText("Required skills"), "Gosu, Java");
    await userEvent.type(screen.getByLabelText("Location"), "Dublin");
    await userEvent.click(screen.getByRole("button", { name: "Create job" }));
    await waitFor(() => expect(server.jobs[0]).toMatchObject({ title: "Architect", requiredSkills: ["Gosu", "Java"] }));
    await waitFor(() => expect(window.location.search).toBe(""));
    expect((await rows())[0]!.textContent).toContain("Architect");
  });

  test("shows what the server finds wrong at its field", async () => {
    const { server } = openJobs("?job=new");
    server.failing["createJob"] = failure(Code.InvalidArgument, "INVALID_ARGUMENT", "Some fields are not right.", [
      { field: "client_id", rule: "job.client_id", message: "This is not the id of a client." },
    ]);
    await userEvent.type(await screen.findByLabelText("Title", {}, { timeout: 5000 }), "Architect");
    await userEvent.type(screen.getByLabelText("Description"), "Draws the plan and keeps it true.");
    await userEvent.type(screen.getByLabelText("Required skills"), "Gosu");
    await userEvent.type(screen.getByLabelText("Location"), "Dublin");
    await userEvent.click(screen.getByRole("button", { name: "Create job" }));
    expect(await screen.findByText("This is not the id of a client.")).toBeTruthy();
    expect(screen.getByLabelText(/Client id/).getAttribute("aria-invalid")).toBe("true");
  });

  test("keeps what was typed when the job has changed in the meantime", async () => {
    const { server } = openJobs();
    const job = someJobs(Date.now())[1]!;
    server.jobs = [job];
    await userEvent.click(within((await rows())[0]!).getByRole("link"));
    const title = await screen.findByLabelText("Title", {}, { timeout: 5000 });
    await userEvent.clear(title);
    await userEvent.type(title, "Senior claims analyst");
    server.jobs = [create(JobSchema, { ...server.jobs[0]!, location: "Leeds", version: 2n })];

    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await userEvent.click(await screen.findByRole("button", { name: "Load the newest version" }));
    await waitFor(() => expect(screen.getByLabelText<HTMLInputElement>("Location").value).toBe("Leeds"));
    expect(screen.getByLabelText<HTMLInputElement>("Title").value).toBe("Senior claims analyst");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    await waitFor(() =>
      expect(server.jobs[0]).toMatchObject({ title: "Senior claims analyst", location: "Leeds", version: 3n }),
    );
  });

  test("can be read but not changed without the permission", async () => {
    openJobs("", "student");
    await userEvent.click(within((await rows())[0]!).getByRole("link"));
    const title = await screen.findByLabelText<HTMLInputElement>("Title", {}, { timeout: 5000 });
    expect(title.closest("fieldset")!.disabled).toBe(true);
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();
    expect(screen.queryByRole("button", { name: "New job" })).toBeNull();
  });
});
