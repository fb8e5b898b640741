import { type Delivery, DeliveryStatus } from "@intime/client/event";
import { toneText } from "@/components/ui/badge";
import { deliveryStatuses } from "./status";

const most = 4;

/** One sign per handler, and how many of them have ended well. */
export function OutcomeBar({ deliveries }: { deliveries: Delivery[] }) {
  if (deliveries.length === 0) return <span className="text-muted-foreground text-xs">None</span>;
  const done = deliveries.filter(
    ({ status }) =>
      status === DeliveryStatus.SUCCEEDED || status === DeliveryStatus.SKIPPED || status === DeliveryStatus.DISCARDED,
  ).length;
  const sentences = deliveries.map((delivery) => `${delivery.handlerName}: ${deliveryStatuses[delivery.status].label}`);
  return (
    <span className="flex items-center gap-1" title={sentences.join("\n")}>
      {deliveries.slice(0, most).map(({ id, status }) => {
        const { icon: Icon, tone } = deliveryStatuses[status];
        return <Icon key={id} className={`size-3.5 ${toneText[tone]}`} aria-hidden />;
      })}
      <span className="text-muted-foreground text-xs tabular-nums" aria-hidden>
        {done}/{deliveries.length}
      </span>
      <span className="sr-only">{sentences.join(", ")}</span>
    </span>
  );
}
