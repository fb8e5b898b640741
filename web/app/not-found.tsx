import { Compass } from "lucide-react";
import type { Metadata } from "next";
import Link from "next/link";
import { State } from "@/components/states";
import { Button } from "@/components/ui/button";

export const metadata: Metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <main className="pt-16">
      <State
        icon={<Compass />}
        title="There is no such page"
        actions={
          <Button asChild>
            <Link href="/">Go home</Link>
          </Button>
        }
      >
        <p>The address may be mistyped, or the page has moved.</p>
      </State>
    </main>
  );
}
