import { screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { expect, test } from "vitest";
import { SignIn } from "@/app/sign-in/sign-in";
import { FakeServer } from "./fake";
import { open } from "./render";

test("one click signs in as a demo person and leads on", async () => {
  const { session } = open("/sign-in/?next=/admin/jobs/", <SignIn />);
  await userEvent.click(await screen.findByRole("button", { name: /Rita Recruiter/ }));
  await waitFor(() => expect(window.location.pathname).toBe("/admin/jobs/"));
  expect(session.getState().status).toBe("signed-in");
});

test("?as= signs in at once, whoever was signed in before", async () => {
  const server = new FakeServer();
  server.cookie = "ana.admin@acme.example";
  open("/sign-in/?as=sam.student@acme.example", <SignIn />, server);
  await waitFor(() => expect(window.location.pathname).toBe("/admin/events/"));
  expect(server.cookie).toBe("sam.student@acme.example");
});

test("?as= somebody unknown says so", async () => {
  open("/sign-in/?as=nobody@acme.example", <SignIn />);
  expect((await screen.findByRole("alert")).textContent).toBe("There is no such demo person.");
  expect(window.location.pathname).toBe("/sign-in/");
});

test("whoever is signed in already goes on", async () => {
  const server = new FakeServer();
  server.cookie = "ana.admin@acme.example";
  open("/sign-in/", <SignIn />, server);
  await waitFor(() => expect(window.location.pathname).toBe("/admin/events/"));
});

test("without demo people a token of the issuer signs in, kept nowhere but in memory", async () => {
  const server = new FakeServer();
  server.demo = false;
  const { session } = open("/sign-in/", <SignIn />, server);
  await userEvent.type(await screen.findByLabelText("Access token"), "a.token");
  await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
  await waitFor(() => expect(window.location.pathname).toBe("/admin/events/"));
  expect(await session.accessToken()).toBe("a.token");
  expect(localStorage.length).toBe(0);
  expect(document.cookie).toBe("");
});
