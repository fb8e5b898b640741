-- Mail that handlers want sent. The row commits with the handler's other effects; a sender delivers it afterwards, so
-- that no transaction waits for a mail server.

-- +goose Up
SET LOCAL ROLE intime_owner;

CREATE TABLE outgoing_mails (
    id               uuid        NOT NULL DEFAULT app.uuid_v7(),
    org_id           uuid        NOT NULL,
    dedup_key        text        NOT NULL,
    recipient        text        NOT NULL,
    recipient_name   text        NOT NULL DEFAULT '',
    subject          text        NOT NULL,
    text_body        text        NOT NULL,
    html_body        text        NOT NULL,
    status           text        NOT NULL DEFAULT 'queued',
    attempt_count    integer     NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    error_message    text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    sent_at          timestamptz,
    CONSTRAINT outgoing_mails_pkey PRIMARY KEY (id),
    CONSTRAINT outgoing_mails_dedup_key UNIQUE (org_id, dedup_key),
    CONSTRAINT outgoing_mails_org_id_fkey FOREIGN KEY (org_id) REFERENCES organizations (id),
    CONSTRAINT outgoing_mails_dedup_key_check CHECK (length(dedup_key) BETWEEN 1 AND 400),
    CONSTRAINT outgoing_mails_recipient_check CHECK (length(recipient) BETWEEN 3 AND 254),
    CONSTRAINT outgoing_mails_subject_check CHECK (length(subject) BETWEEN 1 AND 500),
    CONSTRAINT outgoing_mails_status_check CHECK (status IN ('queued', 'sent', 'failed'))
);

COMMENT ON COLUMN outgoing_mails.dedup_key IS 'Whoever queues the same mail again, queues it once.';

CREATE INDEX outgoing_mails_due_idx ON outgoing_mails (next_attempt_at) WHERE status = 'queued';

ALTER TABLE outgoing_mails ENABLE ROW LEVEL SECURITY;
ALTER TABLE outgoing_mails FORCE ROW LEVEL SECURITY;

-- Only handlers queue mail: what else is signed in could write to anybody in the organisation's name.
GRANT CREATE ON SCHEMA app TO intime_membership;
RESET ROLE;
SET LOCAL ROLE intime_membership;
-- +goose StatementBegin
CREATE FUNCTION app.in_handler() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = ''
    AS $$ BEGIN RETURN pg_catalog.pg_has_role(session_user, 'intime_worker', 'MEMBER'); END $$;
-- +goose StatementEnd
GRANT EXECUTE ON FUNCTION app.in_handler() TO authenticated;
RESET ROLE;
SET LOCAL ROLE intime_owner;
REVOKE CREATE ON SCHEMA app FROM intime_membership;

GRANT INSERT (org_id, dedup_key, recipient, recipient_name, subject, text_body, html_body) ON outgoing_mails TO authenticated;
GRANT SELECT, UPDATE (status, attempt_count, next_attempt_at, error_message, sent_at) ON outgoing_mails TO intime_worker;

CREATE POLICY outgoing_mails_insert ON outgoing_mails FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT app.org_id()) AND (SELECT app.in_handler()));
CREATE POLICY outgoing_mails_sender_select ON outgoing_mails FOR SELECT TO intime_worker USING (true);
CREATE POLICY outgoing_mails_sender_update ON outgoing_mails FOR UPDATE TO intime_worker USING (true) WITH CHECK (true);

RESET ROLE;

-- +goose Down
DROP TABLE outgoing_mails;
DROP FUNCTION app.in_handler();
