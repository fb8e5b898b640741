import { Shell } from "@/components/shell/shell";
import { SignedIn } from "@/components/shell/signed-in";

export default function AdminLayout({ children }: { children: React.ReactNode }) {
  return (
    <SignedIn>
      <Shell>{children}</Shell>
    </SignedIn>
  );
}
