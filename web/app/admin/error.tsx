"use client";

import { Crash } from "@/components/crash";

export default function ErrorPage({ error }: { error: Error }) {
  return <Crash error={error} />;
}
