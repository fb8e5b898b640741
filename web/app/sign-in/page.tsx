import type { Metadata } from "next";
import { Suspense } from "react";
import { Logo } from "@/components/shell/logo";
import { SignIn } from "./sign-in";

export const metadata: Metadata = { title: "Sign in" };

export default function Page() {
  return (
    <main className="mx-auto flex min-h-dvh w-full max-w-3xl flex-col gap-8 px-4 py-12 sm:py-20">
      <header className="space-y-4">
        <Logo className="size-9" />
        <h1 className="text-xl font-semibold tracking-tight">Sign in to InTime</h1>
      </header>
      <Suspense>
        <SignIn />
      </Suspense>
    </main>
  );
}
