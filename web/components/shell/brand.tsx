import { Logo } from "./logo";

export function Brand() {
  return (
    <div className="flex h-12 shrink-0 items-center gap-2 px-3">
      <Logo />
      <span className="text-base font-semibold tracking-tight">InTime</span>
    </div>
  );
}
