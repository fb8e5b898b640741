import { createRouterTransport } from "@connectrpc/connect";
import { Session } from "@intime/client";
import { render } from "@testing-library/react";
import { Providers } from "@/components/providers";
import { SignedIn } from "@/components/shell/signed-in";
import { FakeServer, people } from "./fake";

/** Opens an address as a person whose cookie the browser has, with the server in memory. */
export function open(url: string, page: React.ReactNode, server = new FakeServer()) {
  window.history.replaceState(null, "", url);
  const transport = createRouterTransport(server.routes);
  const session = new Session({ transport });
  const view = render(<Providers connect={() => ({ session, transport })}>{page}</Providers>);
  return { ...view, server, session };
}

/** Opens a page of the dashboard as somebody with a role. */
export function openAs(role: string, url: string, page: React.ReactNode, server = new FakeServer()) {
  server.cookie = people.find((person) => person.roles.includes(role))!.email;
  return open(url, <SignedIn>{page}</SignedIn>, server);
}
