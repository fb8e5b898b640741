import { Redirect } from "@/components/redirect";

export default function Page() {
  return <Redirect to="/admin/events/" label="Go to the events" />;
}
