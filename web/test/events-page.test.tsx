import { Code } from "@connectrpc/connect";
import { EventStatus } from "@intime/client/event";
import { act, screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { EventsPage } from "@/app/admin/events/events-page";
import { FakeServer, eventAt, failure, someEvents } from "./fake";
import { openAs } from "./render";

const now = Date.now();

function serverWith(events = someEvents(now)) {
  const server = new FakeServer();
  server.events = events;
  return server;
}

const openEvents = (server = serverWith(), query = "", role = "admin") =>
  openAs(role, `/admin/events/${query}`, <EventsPage />, server);

const rows = async () =>
  within(await screen.findByRole("table"))
    .getAllByRole("row")
    .slice(1);

beforeEach(() => {
  // Wide enough for the panel to stand beside the list.
  vi.spyOn(window, "matchMedia").mockImplementation(
    (query) =>
      ({
        matches: query.includes("min-width"),
        media: query,
        addEventListener: vi.fn(),
        removeEventListener: vi.fn(),
      }) as unknown as MediaQueryList,
  );
});

describe("the list", () => {
  test("shows each event with its status, handlers, retries, error and publisher", async () => {
    openEvents();
    const failed = (await rows())[2]!;
    expect(failed.textContent).toContain("job.created");
    expect(within(failed).getByText("Failed")).toBeTruthy();
    expect(failed.textContent).toContain("notify_matching_candidates: Failed");
    expect(failed.textContent).toContain("POST https://mail.example.com/send: 503 Service Unavailable");
    expect(failed.textContent).not.toContain("the mail server is busy");
    expect(failed.textContent).toContain("Rita Recruiter");
    expect(await rows()).toHaveLength(50);
  });

  test("says what this is where there is nothing yet, with the command that makes the first", async () => {
    openEvents(serverWith([]));
    expect(await screen.findByText("No events yet")).toBeTruthy();
    await waitFor(() =>
      expect(screen.getByLabelText("command").textContent).toContain("$(bin/intime token rita.recruiter@acme.example)"),
    );
    expect(screen.getByLabelText("command").textContent).toContain(
      "http://localhost:3000/intime.job.v1.JobService/CreateJob",
    );
  });

  test("offers to clear filters that match nothing", async () => {
    openEvents(serverWith(), "?status=dead_letter&type=system.probed");
    await userEvent.click(await screen.findByRole("button", { name: "Clear the filters" }));
    expect(await rows()).toHaveLength(50);
    expect(window.location.search).toBe("");
  });

  test("says what went wrong, under which id the log has it, and tries again", async () => {
    const server = serverWith();
    server.failing["listEvents"] = failure(Code.Internal, "INTERNAL", "Something went wrong on the server.");
    openEvents(server);
    const alert = await screen.findByRole("alert");
    expect(alert.textContent).toContain("Something went wrong on the server.");
    expect(within(alert).getByTitle("0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f")).toBeTruthy();
    server.failing = {};
    await userEvent.click(within(alert).getByRole("button", { name: "Try again" }));
    expect(await rows()).toHaveLength(50);
  });

  test("names the permission that is missing", async () => {
    const { server } = openEvents(serverWith(), "", "student");
    expect((await screen.findByText(/This needs the permission/)).textContent).toContain("event:read");
    expect(server.calls).not.toContain("listEvents");
  });

  test("keeps its rows and says so when it cannot be brought up to date", async () => {
    const { server } = openEvents();
    await rows();
    server.failing["listEvents"] = failure(Code.Internal, "INTERNAL", "Something went wrong on the server.");
    await userEvent.click(screen.getByRole("button", { name: "Refresh" }));
    expect((await screen.findByRole("alert")).textContent).toContain("These rows may be out of date.");
    expect(await rows()).toHaveLength(50);
  });

  test("holds new events back until they are asked for", async () => {
    const { server } = openEvents(serverWith([eventAt(now - 5000)]));
    expect(await rows()).toHaveLength(1);
    server.events.unshift(eventAt(now - 1000, { type: "system.probe" }));
    await userEvent.click(screen.getByRole("button", { name: "Refresh" }));
    const show = await screen.findByRole("button", { name: "1 new event · show" });
    expect(await rows()).toHaveLength(1);
    await userEvent.click(show);
    expect((await rows())[0]!.textContent).toContain("system.probe");
  });

  test("goes to older events and back", async () => {
    openEvents(serverWith(), "?range=30d");
    await rows();
    await userEvent.click(screen.getByRole("button", { name: "Older" }));
    await waitFor(() => expect(new URLSearchParams(window.location.search).get("cursor")).toBe("50"));
    expect(Number(new URLSearchParams(window.location.search).get("since"))).toBeGreaterThan(now - 31 * 24 * 3_600_000);
    expect(await screen.findByRole("button", { name: "Paused on older pages" })).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Newest" }));
    await waitFor(() => expect(window.location.search).toBe("?range=30d"));
  });
});

describe("the filters", () => {
  test("are in the URL and in the request", async () => {
    const { server } = openEvents();
    await rows();
    await userEvent.click(screen.getByRole("button", { name: "Status" }));
    await userEvent.click(await screen.findByRole("menuitemcheckbox", { name: "Dead letter" }));
    await waitFor(() => expect(window.location.search).toBe("?status=dead_letter"));
    await waitFor(() => expect(server.lastListEvents?.statuses).toEqual([EventStatus.DEAD_LETTER]));
    await waitFor(async () => expect(await rows()).toHaveLength(1));
  });

  test("search for a whole id, and say so for anything else", async () => {
    const event = someEvents(now)[3]!;
    openEvents(serverWith([...someEvents(now)]));
    await rows();
    const search = screen.getByRole("searchbox");
    await userEvent.type(search, "job");
    expect(screen.getByText("Search by a whole event id or correlation id.")).toBeTruthy();
    expect(window.location.search).toBe("");
    await userEvent.clear(search);
    await userEvent.click(search);
    await userEvent.paste(` ${event.id} `);
    expect(window.location.search).toBe(`?id=${event.id}`);
    await waitFor(async () => expect(await rows()).toHaveLength(1));
  });
});

describe("the panel", () => {
  const open = async () => {
    await userEvent.click(within((await rows())[2]!).getByRole("link"));
    return screen.findByRole("complementary", { name: "Event" });
  };

  test("has its own URL and shows every attempt", async () => {
    const { server } = openEvents();
    const panel = await open();
    expect(window.location.search).toBe(`?event=${server.events[2]!.id}`);
    expect(await within(panel).findByText("Attempt 1: failed")).toBeTruthy();
    expect(within(panel).getByText("waited 4 ms · ran 812 ms · on laptop-4711 · version v0.1.0")).toBeTruthy();
    expect(within(panel).getByText("Attempt 2: timed out")).toBeTruthy();
    expect(within(panel).getByText(/the mail server is busy/)).toBeTruthy();
    expect(within(panel).getByText(/^Next attempt in \d+s$/)).toBeTruthy();
    expect(within(panel).getByText("2 of 3 attempts")).toBeTruthy();
  });

  test("shows the payload as a tree and as JSON", async () => {
    const { server } = openEvents();
    const panel = await open();
    expect((await within(panel).findAllByText("requiredSkills")).length).toBe(1);
    await userEvent.click(within(panel).getAllByRole("tab", { name: "JSON" })[0]!);
    expect(JSON.parse(within(panel).getByLabelText("payload").textContent)).toEqual(server.events[2]!.payload);
  });

  test("goes from row to row by the keyboard, and gives the focus back", async () => {
    const { server } = openEvents();
    await open();
    await userEvent.keyboard("j");
    await waitFor(() => expect(window.location.search).toBe(`?event=${server.events[3]!.id}`));
    await userEvent.keyboard("{Escape}");
    await waitFor(() => expect(screen.queryByRole("complementary")).toBeNull());
    await waitFor(() => expect(document.activeElement?.getAttribute("data-row-link")).toBe(server.events[3]!.id));
  });

  test("leads to what caused an event and what it caused", async () => {
    const server = serverWith();
    const probed = server.events.find((event) => event.depth === 1)!;
    openEvents(server, `?event=${probed.id}`);
    const related = within((await screen.findByText("What caused it, what it caused")).parentElement!).getAllByRole(
      "button",
    );
    expect(related.map((button) => button.textContent.replace("Processed", ""))).toEqual([
      "system.probe",
      "system.probed",
      "system.probed",
    ]);
    await userEvent.click(related[0]!);
    await waitFor(() => expect(window.location.search).toBe(`?event=${probed.causationId}`));
  });

  test("says that there is no such event", async () => {
    openEvents(serverWith(), "?event=00000000-0000-7000-8000-000000000000");
    expect(await screen.findByText("There is no such event")).toBeTruthy();
  });
});

test("what one person has seen is gone when another signs in", async () => {
  const { session } = openEvents();
  await rows();
  await act(() => session.signInAsDemoPerson("sam.student@acme.example"));
  expect(await screen.findByText("You may not see events")).toBeTruthy();
  expect(screen.queryByRole("table")).toBeNull();
});
