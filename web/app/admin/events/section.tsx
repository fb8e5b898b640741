export function Section({ title, hidden, children }: { title: string; hidden?: boolean; children: React.ReactNode }) {
  return (
    <section className="space-y-2.5 p-4">
      <h3 className={hidden ? "sr-only" : "text-sm font-semibold"}>{title}</h3>
      {children}
    </section>
  );
}
