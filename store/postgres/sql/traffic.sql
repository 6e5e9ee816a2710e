-- What other processes publish and ask, and how an owner that sleeps is told of it.
--
-- Names of parameters: q is the queue, k the number of a partition in it, p the id of a partition, c a channel, h the hint by
-- which its process is notified.
-- CREATE OR REPLACE cannot rename a parameter: longer names come with the next version of the tables.

-- Tell an owner that has said that it sleeps, once. A caller that finds another one telling it does not wait for that.
CREATE OR REPLACE FUNCTION perdure.tell_owner(q text, k integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    h text;
BEGIN
    PERFORM 1 FROM perdure.sleeper s WHERE s.queue = q AND s.number = k AND s.asleep;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM 1 FROM perdure.sleeper s WHERE s.queue = q AND s.number = k AND s.asleep FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE perdure.sleeper s SET asleep = false WHERE s.queue = q AND s.number = k RETURNING s.hint INTO h;
        PERFORM pg_notify(h, k || ':' || q);
    END IF;
END $$;

-- Publish: one row for each body, all or none.
CREATE OR REPLACE FUNCTION perdure.add_to_ingress(q text, k integer, bodies bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(true);
    INSERT INTO perdure.ingress (queue, number, body) SELECT q, k, b FROM unnest(bodies) WITH ORDINALITY AS r (b, n) ORDER BY n;
    PERFORM perdure.tell_owner(q, k);
END $$;

-- Remove what is taken in. A row that comes again counts once.
CREATE OR REPLACE FUNCTION perdure.remove_from_ingress(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(false);
    DELETE FROM perdure.ingress i WHERE i.id = ANY (ids);
END $$;

-- Owners say that they sleep until they are told.
CREATE OR REPLACE FUNCTION perdure.rest(queues text[], numbers integer[], h text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(false);
    INSERT INTO perdure.sleeper AS s (queue, number, hint, asleep)
    SELECT u.q, u.k, h, true FROM unnest(queues, numbers) AS u (q, k) ORDER BY 1, 2
    ON CONFLICT (queue, number) DO UPDATE SET hint = excluded.hint, asleep = true;
END $$;

-- Open a connection to the owner of a partition; false where no process owns it.
CREATE OR REPLACE FUNCTION perdure.open_channel(q text, k integer, c bigint, h text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(false);
    PERFORM 1 FROM perdure.partition t JOIN perdure.lease l ON l.partition_id = t.id
    WHERE t.queue = q AND t.number = k AND l.owner <> '' AND l.until > clock_timestamp() AND l.until < 'infinity';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO perdure.channel (id, queue, number, role, hint) VALUES (c, q, k, session_user, h);
    RETURN true;
END $$;

-- Send to the owner, and read what it has sent; a last row with n = -1: the connection is over.
CREATE OR REPLACE FUNCTION perdure.speak(c bigint, first bigint, bodies bytea[]) RETURNS TABLE (n bigint, body bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    h perdure.channel;
BEGIN
    PERFORM perdure.commit_durably(false);
    UPDATE perdure.channel SET heard = clock_timestamp() WHERE id = c AND role = session_user RETURNING * INTO h;
    IF FOUND AND NOT h.ended AND cardinality(bodies) > 0 THEN
        INSERT INTO perdure.channel_part (channel, to_owner, n, body)
        SELECT c, true, first + r.i - 1, r.b FROM unnest(bodies) WITH ORDINALITY AS r (b, i);
        PERFORM perdure.tell_owner(h.queue, h.number);
    END IF;
    IF h.id IS NOT NULL THEN
        RETURN QUERY WITH taken AS (DELETE FROM perdure.channel_part p WHERE p.channel = c AND NOT p.to_owner RETURNING p.n, p.body)
        SELECT t.n, t.body FROM taken t ORDER BY t.n;
    END IF;
    IF h.id IS NULL OR h.ended THEN
        RETURN QUERY SELECT -1::bigint, ''::bytea;
    END IF;
END $$;

-- The process that opened it is gone from it.
CREATE OR REPLACE FUNCTION perdure.leave_channel(c bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    h perdure.channel;
BEGIN
    PERFORM perdure.commit_durably(false);
    UPDATE perdure.channel t SET gone = true WHERE t.id = c AND t.role = session_user RETURNING t.* INTO h;
    IF FOUND THEN
        PERFORM perdure.tell_owner(h.queue, h.number);
    END IF;
END $$;

-- Return the partition that the holder owns. The lease's row stays locked to the end of the transaction: no other owner begins meanwhile.
CREATE OR REPLACE FUNCTION perdure.served(p integer, holder text) RETURNS perdure.partition
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t perdure.partition;
BEGIN
    PERFORM 1 FROM perdure.lease l WHERE l.partition_id = p AND l.owner = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned', p USING ERRCODE = 'PD001';
    END IF;
    SELECT * INTO t FROM perdure.partition WHERE id = p;
    RETURN t;
END $$;

-- An owner begins to answer: connections to owners before it are over.
CREATE OR REPLACE FUNCTION perdure.begin_serving(p integer, holder text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t perdure.partition;
BEGIN
    PERFORM perdure.commit_durably(false);
    t := perdure.served(p, holder);
    DELETE FROM perdure.channel_part c USING perdure.channel h
    WHERE c.channel = h.id AND h.queue = t.queue AND h.number = t.number AND c.to_owner;
    UPDATE perdure.channel h SET ended = true WHERE h.queue = t.queue AND h.number = t.number AND NOT h.ended;
    PERFORM pg_notify(h.hint, '') FROM perdure.channel h WHERE h.queue = t.queue AND h.number = t.number;
END $$;

-- The owner sends to those that are connected, ends connections, and reads what was sent to it. A row with n = -1: that one is
-- gone, or was not heard of for too long. The lease's row is locked, so that no other owner begins meanwhile.
CREATE OR REPLACE FUNCTION perdure.serve(p integer, holder text, cs bigint[], ns bigint[], bodies bytea[], over bigint[],
                                         silent double precision)
RETURNS TABLE (channel bigint, n bigint, body bytea, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    t perdure.partition;
BEGIN
    PERFORM perdure.commit_durably(false);
    t := perdure.served(p, holder);
    IF cardinality(cs) > 0 OR cardinality(over) > 0 THEN
        INSERT INTO perdure.channel_part (channel, to_owner, n, body)
        SELECT u.c, false, u.i, u.b FROM unnest(cs, ns, bodies) AS u (c, i, b) JOIN perdure.channel h ON h.id = u.c;
        UPDATE perdure.channel h SET ended = true WHERE h.id = ANY (over);
        PERFORM pg_notify(h.hint, '') FROM perdure.channel h WHERE h.id = ANY (cs || over);
    END IF;
    RETURN QUERY WITH taken AS (
        DELETE FROM perdure.channel_part c USING perdure.channel h
        WHERE c.channel = h.id AND h.queue = t.queue AND h.number = t.number AND c.to_owner AND NOT h.ended
        RETURNING c.channel, c.n, c.body, h.role)
    SELECT * FROM taken x ORDER BY x.channel, x.n;
    RETURN QUERY WITH dead AS (
        DELETE FROM perdure.channel h WHERE h.queue = t.queue AND h.number = t.number
        AND (h.gone OR h.heard < clock_timestamp() - make_interval(secs => silent)) RETURNING h.id, h.role),
    parts AS (DELETE FROM perdure.channel_part c USING dead WHERE c.channel = dead.id)
    SELECT d.id, -1::bigint, ''::bytea, d.role FROM dead d;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA perdure FROM PUBLIC;
