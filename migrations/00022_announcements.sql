-- Announcements: what the bus itself publishes, so that an organisation's operators hear of a handler that was disabled and
-- of the first dead letter of a handler since it was last well.

-- +goose Up
SET LOCAL ROLE intime_owner;

ALTER TABLE event_subscriptions ADD COLUMN dead_letter_announced_at timestamptz;
COMMENT ON COLUMN event_subscriptions.dead_letter_announced_at IS 'When a dead letter was last announced: no other is until the handler succeeds or is enabled again.';

GRANT INSERT (org_id, type, schema_version, payload, source, correlation_id, id) ON events TO intime_bookkeeper;
CREATE POLICY events_announce_insert ON events FOR INSERT TO intime_bookkeeper
    WITH CHECK (source = 'system' AND created_by IS NULL AND depth = 0 AND type IN ('handler.disabled', 'event.dead_lettered'));

GRANT CREATE ON SCHEMA app TO intime_bookkeeper;
RESET ROLE;
SET LOCAL ROLE intime_bookkeeper;

-- Publishes an event of the bus itself as the organisation's system actor, in the transaction that it tells of.
-- +goose StatementBegin
CREATE FUNCTION app.announce(p_org_id uuid, p_type text, p_payload jsonb) RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        event_id uuid := app.uuid_v7();
    BEGIN
        INSERT INTO public.events (id, org_id, type, schema_version, payload, source, correlation_id)
        SELECT event_id, p_org_id, t.name, t.schema_version, p_payload, 'system', event_id
        FROM app.event_types t WHERE t.name = p_type;
    END
    $$;
-- +goose StatementEnd

-- Whether announcements may tell of a handler of the type. Those of announcements themselves never cause another one, or a
-- broken mail template would write to itself for ever.
-- +goose StatementBegin
CREATE FUNCTION app.may_announce(p_event_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = ''
    AS $$ SELECT p_event_type NOT IN ('handler.disabled', 'event.dead_lettered') $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION app.announce_subscription() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    BEGIN
        IF NEW.is_active THEN
            NEW.dead_letter_announced_at := NULL;
        ELSIF NEW.auto_disabled_at IS NOT NULL AND app.may_announce(NEW.event_type) THEN
            PERFORM app.announce(NEW.org_id, 'handler.disabled', jsonb_build_object(
                'handlerName', NEW.handler_name, 'type', NEW.event_type, 'reason', NEW.disabled_reason,
                'consecutiveFailures', NEW.consecutive_failures));
        END IF;
        RETURN NEW;
    END
    $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION app.announce_dead_letter() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = ''
    AS $$
    DECLARE
        handled text;
    BEGIN
        UPDATE public.event_subscriptions s SET dead_letter_announced_at = clock_timestamp()
        WHERE s.org_id = NEW.org_id AND s.handler_name = NEW.handler_name AND app.may_announce(s.event_type)
          AND (s.dead_letter_announced_at IS NULL OR s.last_success_at > s.dead_letter_announced_at)
        RETURNING s.event_type INTO handled;
        IF FOUND THEN
            PERFORM app.announce(NEW.org_id, 'event.dead_lettered', jsonb_build_object(
                'eventId', NEW.event_id, 'type', handled, 'handlerName', NEW.handler_name, 'reason', NEW.reason));
        END IF;
        RETURN NULL;
    END
    $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION app.announce_subscription(), app.announce_dead_letter() TO intime_owner;

RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_bookkeeper;

CREATE TRIGGER event_subscriptions_announce BEFORE UPDATE OF is_active ON event_subscriptions
    FOR EACH ROW WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active) EXECUTE FUNCTION app.announce_subscription();
-- What ends well does not come by.
CREATE TRIGGER event_deliveries_announce AFTER UPDATE OF status ON event_deliveries
    FOR EACH ROW WHEN (NEW.status = 'dead_letter' AND OLD.status <> 'dead_letter') EXECUTE FUNCTION app.announce_dead_letter();

RESET ROLE;

-- +goose Down
DROP TRIGGER event_deliveries_announce ON event_deliveries;
DROP TRIGGER event_subscriptions_announce ON event_subscriptions;
DROP FUNCTION app.announce_dead_letter(), app.announce_subscription(), app.may_announce(text), app.announce(uuid, text, jsonb);
DROP POLICY events_announce_insert ON events;
REVOKE INSERT (org_id, type, schema_version, payload, source, correlation_id, id) ON events FROM intime_bookkeeper;
ALTER TABLE event_subscriptions DROP COLUMN dead_letter_announced_at;
