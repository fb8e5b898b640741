import type { DemoPerson } from "@intime/client/session";
import { ArrowRight, LoaderCircle } from "lucide-react";
import { Badge } from "@/components/ui/badge";
import { initials, roleName } from "@/lib/people";

/** One button per person of the demo data, by organisation. */
export function DemoPeople({
  people,
  pending,
  onChoose,
}: {
  people: DemoPerson[];
  /** The e-mail address of the person who is being signed in. */
  pending: string;
  onChoose: (email: string) => void;
}) {
  const organizations = [...new Set(people.map((person) => person.organization))];
  return (
    <>
      <p className="text-muted-foreground max-w-prose">
        This server runs on your machine with demo data. Choose who you want to be: each person has the roles and sees
        the organisation named here.
      </p>
      {organizations.map((organization) => (
        <section key={organization} className="space-y-2">
          <h2 className="text-muted-foreground text-xs font-medium">{organization}</h2>
          <ul className="grid gap-2 sm:grid-cols-2">
            {people
              .filter((person) => person.organization === organization)
              .map((person) => (
                <li key={person.email}>
                  <button
                    type="button"
                    disabled={pending !== ""}
                    onClick={() => onChoose(person.email)}
                    className="group bg-card hover:border-input hover:bg-accent/50 flex w-full items-center gap-3 rounded-lg border p-3 text-left shadow-2xs transition-colors disabled:opacity-60"
                  >
                    <span
                      aria-hidden
                      className="bg-secondary flex size-9 shrink-0 items-center justify-center rounded-full text-xs font-semibold"
                    >
                      {initials(person.fullName)}
                    </span>
                    <span className="min-w-0 flex-1 space-y-1">
                      <span className="flex flex-wrap items-center gap-x-2 gap-y-1">
                        <span className="truncate font-medium">{person.fullName}</span>
                        {person.roles.map((role) => (
                          <Badge key={role}>{roleName(role)}</Badge>
                        ))}
                      </span>
                      <span className="text-muted-foreground block truncate text-xs">{person.email}</span>
                    </span>
                    {pending === person.email ? (
                      <LoaderCircle className="size-4 animate-spin" aria-label="Signing in" />
                    ) : (
                      <ArrowRight
                        className="text-muted-foreground size-4 opacity-0 transition-opacity group-hover:opacity-100 group-focus-visible:opacity-100"
                        aria-hidden
                      />
                    )}
                  </button>
                </li>
              ))}
          </ul>
        </section>
      ))}
    </>
  );
}
