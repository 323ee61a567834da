"""The database itself keeps the audit trail: entries are numbered and chained at commit, and never change after.

The chaining trigger runs when a transaction commits, under a lock of its own: writers wait for each other only there,
so numbers follow the order of commits without gaps, and no lock of a row is ever waited for while it is held.
Old entries go only where ``runai.audit_drop`` is set for the transaction (the retention task does).
"""

from django.db import migrations

DIGEST = """
CREATE FUNCTION access_audit_digest(entry access_auditentry, number bigint, previous text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(concat_ws(E'\\x1f',
        previous, entry.id, number, extract(epoch FROM entry.at), entry.actor_kind, entry.actor_id,
        entry.actor_name, entry.action, entry.entity_type, entry.entity_id, entry.entity_name, entry.scope_path,
        entry.result, coalesce(host(entry.source_ip), ''), entry.request_id, entry.http_method, entry.url,
        coalesce(entry.status_code::text, ''), coalesce(entry.before::text, ''), coalesce(entry.after::text, '')
    ), 'UTF8')), 'hex')
$$;
"""
CHAIN = """
CREATE FUNCTION access_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place text := quote_ident(TG_TABLE_SCHEMA);
    last_seq bigint;
    last_hash text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('access_audit_chain'), hashtext(TG_TABLE_SCHEMA));
    EXECUTE format('SELECT seq, hash FROM (
        (SELECT seq, hash FROM %1$s.access_auditentry WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1)
        UNION ALL (SELECT seq, hash FROM %1$s.access_auditanchor ORDER BY seq DESC LIMIT 1)
    ) AS heads ORDER BY seq DESC LIMIT 1', place) INTO last_seq, last_hash;
    last_seq := coalesce(last_seq, 0) + 1;
    last_hash := coalesce(last_hash, '');
    EXECUTE format('UPDATE %1$s.access_auditentry AS entry SET seq = $1, prev_hash = $2,
        hash = %1$s.access_audit_digest(entry, $1, $2) WHERE id = $3', place) USING last_seq, last_hash, NEW.id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER access_audit_chain AFTER INSERT ON access_auditentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION access_audit_chain();
"""
EXISTING = """
DO $$
DECLARE
    entry access_auditentry;
    last_seq bigint := 0;
    last_hash text := '';
    next_hash text;
BEGIN
    FOR entry IN SELECT * FROM access_auditentry ORDER BY id LOOP
        last_seq := last_seq + 1;
        next_hash := access_audit_digest(entry, last_seq, last_hash);
        UPDATE access_auditentry SET seq = last_seq, prev_hash = last_hash, hash = next_hash WHERE id = entry.id;
        last_hash := next_hash;
    END LOOP;
END $$;
"""
GUARD = """
CREATE FUNCTION access_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.seq := NULL; NEW.hash := ''; NEW.prev_hash := '';
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.hash = '' AND
        (to_jsonb(OLD) - 'seq' - 'hash' - 'prev_hash') = (to_jsonb(NEW) - 'seq' - 'hash' - 'prev_hash') THEN
        RETURN NEW;
    END IF;
    IF TG_OP IN ('DELETE', 'TRUNCATE') AND current_setting('runai.audit_drop', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER access_audit_guard BEFORE INSERT OR UPDATE OR DELETE ON access_auditentry
    FOR EACH ROW EXECUTE FUNCTION access_audit_guard();
CREATE TRIGGER access_audit_guard_all BEFORE TRUNCATE ON access_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION access_audit_guard();
"""
BACK = """
DROP TRIGGER access_audit_guard_all ON access_auditentry;
DROP TRIGGER access_audit_guard ON access_auditentry;
DROP TRIGGER access_audit_chain ON access_auditentry;
DROP FUNCTION access_audit_guard();
DROP FUNCTION access_audit_chain();
DROP FUNCTION access_audit_digest(access_auditentry, bigint, text);
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0002_people_and_rest")]

    operations = [migrations.RunSQL(DIGEST + EXISTING + CHAIN + GUARD, BACK)]
