"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useEffect } from "react";

/** Goes to another page at once; the link is for where that does not work. */
export function Redirect({ to, label }: { to: string; label: string }) {
  const router = useRouter();
  useEffect(() => router.replace(to), [router, to]);
  return (
    <p className="p-4">
      <Link href={to} className="text-link underline">
        {label}
      </Link>
    </p>
  );
}
