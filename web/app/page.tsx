import { Redirect } from "@/components/redirect";

export default function Page() {
  return (
    <main>
      <Redirect to="/admin/events/" label="Go to the events" />
    </main>
  );
}
