"use client";

import { Crash } from "@/components/crash";

export default function ErrorPage({ error }: { error: Error }) {
  return (
    <main className="pt-16">
      <Crash error={error} />
    </main>
  );
}
