import { createClient } from "@connectrpc/connect";
import { JobService } from "@intime/client/job";
import { type DemoPerson, SessionService } from "@intime/client/session";
import { createIntimeTransport } from "@intime/client";
import axe, { type AxeResults } from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Program, startBrowser, startProgram } from "./program";

let program: Program;
let browser: Browser;
let people: DemoPerson[];
let context: BrowserContext | undefined;
/** What the page complained about. */
let complaints: string[];

const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  program = await startProgram();
  closing.push(() => program.stop());
  browser = await startBrowser();
  closing.push(() => browser.close());
  const sessions = createClient(SessionService, createIntimeTransport({ baseUrl: program.url }));
  people = (await sessions.getSignInOptions({})).demoPeople;
});

afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

afterEach(async () => {
  await context?.close();
  context = undefined;
});

function emailOf(role: string): string {
  const person = people.find(({ roles }) => roles.includes(role));
  if (!person) throw new Error(`there is no demo person with the role ${role}`);
  return person.email;
}

async function newPage(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
  context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  complaints = [];
  page.on("pageerror", (err) => complaints.push(err.message));
  page.on("console", (message) => {
    // A page that opens asks whether there is a session; 401 is how the server says no.
    if (message.type() === "error" && !message.text().includes("401")) complaints.push(message.text());
  });
  return page;
}

const signInUrl = (role: string, next: string) =>
  `${program.url}/sign-in/?as=${encodeURIComponent(emailOf(role))}&next=${encodeURIComponent(next)}`;

function createJob() {
  const title = `Job ${crypto.randomUUID()}`;
  return createClient(JobService, program.transportOf(emailOf("recruiter"))).createJob({
    title,
    description: "Builds and configures PolicyCenter.",
    requiredSkills: ["Gosu", "Java"],
    location: "Dublin",
  });
}

/** Returns what axe finds wrong, in a form that reads well when the test fails. */
async function violationsOf(page: Page) {
  await page.evaluate(axe.source);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await page.evaluate<AxeResults>(`axe.run(document, { runOnly: ${JSON.stringify(tags)} })`);
  return violations.map(({ id, nodes }) => ({
    id,
    nodes: nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`),
  }));
}

test("an admin sees a job's event arrive, be handled, and what became of it", async () => {
  const page = await newPage();
  await page.goto(`${program.url}/admin/events/`);
  await page.waitForURL(/\/sign-in\/\?next=/);
  await page.getByText(emailOf("admin"), { exact: true }).click();
  await page.waitForURL(`${program.url}/admin/events/`);
  await page.getByRole("button", { name: "Live" }).waitFor();

  const { job } = await createJob();
  const show = page.getByRole("button", { name: /new events? · show/ });
  const row = page.getByRole("row").filter({ hasText: "job.created" }).first();
  // The first event of all comes in by itself, a later one when asked for.
  await Promise.race([row.waitFor(), show.click()]);
  await row.getByText("Processed").waitFor();

  await row.getByRole("link").click();
  const panel = page.getByRole("complementary", { name: "Event" });
  await panel.getByText("notify_matching_candidates").waitFor();
  await panel.getByText("Attempt 1: succeeded").waitFor();
  await panel.getByText(job?.id ?? "").waitFor();
  expect(new URL(page.url()).searchParams.get("event")).toMatch(/^[0-9a-f-]{36}$/);

  // The address shows a colleague the same.
  await page.reload();
  await panel.getByText("Attempt 1: succeeded").waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  expect(complaints).toEqual([]);
});

test("a recruiter creates a job in the page, and the schema's rules speak first", async () => {
  const page = await newPage();
  await page.goto(signInUrl("recruiter", "/admin/jobs/"));
  await page.getByRole("button", { name: "New job" }).first().click();
  await page.getByLabel("Title", { exact: true }).fill("Architect");
  await page.getByLabel("Description").fill("Draws the plan and keeps it true.");
  await page.getByLabel("Required skills").fill("Gosu, Java");
  await page.getByLabel("Lowest salary a year").fill("90000");
  await page.getByLabel("Highest salary a year").fill("60000");
  await page.getByLabel("Currency").fill("EUR");
  await page.getByLabel("Location", { exact: true }).fill("Dublin");
  await page.getByRole("button", { name: "Create job" }).click();
  await page.getByText("The highest salary is not below the lowest.").waitFor();
  await page.getByLabel("Highest salary a year").fill("120000");
  await page.getByRole("button", { name: "Create job" }).click();
  await page.getByText("Job created").waitFor();
  await page.getByRole("row").filter({ hasText: "Architect" }).getByText("90,000–120,000 EUR").waitFor();
  expect(complaints).toEqual([]);
});

test("a student is told which permission the events need", async () => {
  const page = await newPage();
  await page.goto(signInUrl("student", "/admin/events/"));
  await page.getByText("You may not see events").waitFor();
  await page.getByText("event:read").waitFor();
  expect(complaints).toEqual([]);
});

test("signing out ends the session on the server as well", async () => {
  const page = await newPage();
  await page.goto(signInUrl("admin", "/admin/events/"));
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(/\/sign-in\//);
  await page.goto(`${program.url}/admin/events/`);
  await page.waitForURL(/\/sign-in\//);
});

test("no script can read what keeps a person signed in", async () => {
  const page = await newPage();
  await page.goto(signInUrl("admin", "/admin/events/"));
  await page.getByRole("heading", { name: "Events" }).waitFor();
  const kept = await page.evaluate(() => [
    document.cookie,
    JSON.stringify(localStorage),
    JSON.stringify(sessionStorage),
  ]);
  expect(kept[0]).toBe("");
  expect(kept.join()).not.toContain("eyJ"); // how every JWT begins
  const cookies = (await context?.cookies()) ?? [];
  expect(cookies.length).toBeGreaterThan(0);
  for (const cookie of cookies) expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
});

test("an address that leads nowhere says so", async () => {
  const page = await newPage();
  const response = await page.goto(`${program.url}/nowhere/`);
  expect(response?.status()).toBe(404);
  await page.getByText("There is no such page").waitFor();
});

describe.each(["light", "dark"] as const)("in %s, axe finds nothing wrong", (colorScheme) => {
  test("with signing in", async () => {
    const page = await newPage({ colorScheme });
    await page.goto(`${program.url}/sign-in/`);
    await page.getByText(emailOf("admin"), { exact: true }).waitFor();
    expect(await violationsOf(page)).toEqual([]);
  });

  test.each([
    ["wide", 1440],
    ["narrow", 360],
  ])("with the events and one of them, on a %s screen", async (_, width) => {
    await createJob();
    const page = await newPage({ colorScheme, viewport: { width, height: 800 } });
    await page.goto(signInUrl("admin", "/admin/events/"));
    await page.getByRole("table").waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await page.getByRole("table").getByRole("link").first().click();
    await page.getByText("Attempt 1").first().waitFor();
    await page.waitForTimeout(400); // until the panel has slid in: half-transparent text has no contrast to measure
    expect(await violationsOf(page)).toEqual([]);
  });

  test("with the jobs and their form", async () => {
    await createJob();
    const page = await newPage({ colorScheme });
    await page.goto(signInUrl("admin", "/admin/jobs/"));
    await page.getByRole("table").waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await page.getByRole("button", { name: "New job" }).click();
    await page.getByRole("button", { name: "Create job" }).click();
    await page.getByText("Name 1 to 50 skills.").waitFor();
    await page.waitForTimeout(400);
    expect(await violationsOf(page)).toEqual([]);
  });
});

test.each(["/sign-in/", "/admin/events/", "/admin/jobs/"])(
  "%s opens with at most 250 kB of JavaScript",
  async (path) => {
    const page = await newPage();
    await page.goto(path === "/sign-in/" ? program.url + path : signInUrl("admin", path));
    await page.waitForURL(program.url + path);
    if (path !== "/sign-in/") await page.reload();
    await page.waitForLoadState("networkidle");
    const bytes = await page.evaluate(() =>
      performance
        .getEntriesByType("resource")
        .filter(
          (entry): entry is PerformanceResourceTiming =>
            entry instanceof PerformanceResourceTiming && entry.name.endsWith(".js"),
        )
        .reduce((sum, entry) => sum + entry.encodedBodySize, 0),
    );
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThanOrEqual(250_000);
  },
);
