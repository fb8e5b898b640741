"use client";

import { Crash } from "@/components/crash";
import "./globals.css";

/** Stands in for the whole document, its layout included. */
export default function GlobalError({ error }: { error: Error }) {
  return (
    <html lang="en">
      <body>
        <title>InTime</title>
        <main className="pt-16">
          <Crash error={error} />
        </main>
      </body>
    </html>
  );
}
