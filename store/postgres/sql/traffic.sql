-- What other processes publish and ask, and how an owner that sleeps is told of it.

-- Tell an owner that has said that it sleeps, once. A caller that finds another one telling it does not wait for that.
CREATE OR REPLACE FUNCTION perdure.tell_owner(queue_name text, partition_number integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    to_notify text;
BEGIN
    PERFORM 1 FROM perdure.sleeper s WHERE s.queue = queue_name AND s.number = partition_number AND s.asleep;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM 1 FROM perdure.sleeper s WHERE s.queue = queue_name AND s.number = partition_number AND s.asleep FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE perdure.sleeper s SET asleep = false WHERE s.queue = queue_name AND s.number = partition_number RETURNING s.hint INTO to_notify;
        PERFORM pg_notify(to_notify, partition_number || ':' || queue_name);
    END IF;
END $$;

-- Publish: one row for each body, all or none. A publisher whose clock may be compared puts its time into `perdure.wall_us`, within the
-- transaction; how far this server's is ahead of it when the statement arrives, is kept with the rows. (A setting, since a function with
-- another parameter would be another function, which publishers may not call.) No partition beyond those on record takes any. That is looked up behind the rows: by then
-- their table is locked, so a record that is made or removed meanwhile either is seen here, or sees these rows.
CREATE OR REPLACE FUNCTION perdure.add_to_ingress(queue_name text, partition_number integer, bodies bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    on_record integer;
    lead bigint := (extract(epoch FROM statement_timestamp()) * 1000000)::bigint - nullif(current_setting('perdure.wall_us', true), '')::bigint;
BEGIN
    PERFORM perdure.commit_durably(true);
    INSERT INTO perdure.ingress (queue, number, body, ahead_us)
    SELECT queue_name, partition_number, r.body, lead FROM unnest(bodies) WITH ORDINALITY AS r (body, place) ORDER BY r.place;
    IF partition_number > 0 THEN
        SELECT c.partitions INTO on_record FROM perdure.cluster c WHERE c.queue = queue_name;
        IF partition_number >= on_record
        AND NOT EXISTS (SELECT FROM perdure.partition p WHERE p.queue = queue_name AND p.number = partition_number) THEN
            RAISE EXCEPTION 'the queue has % partitions on record, and none of number %', on_record, partition_number USING ERRCODE = 'PD006';
        END IF;
    END IF;
    PERFORM perdure.tell_owner(queue_name, partition_number);
END $$;

-- Remove what is taken in. A row that comes again counts once.
CREATE OR REPLACE FUNCTION perdure.remove_from_ingress(ids bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(false);
    DELETE FROM perdure.ingress i WHERE i.id = ANY (ids);
END $$;

-- Owners say that they sleep until they are told.
CREATE OR REPLACE FUNCTION perdure.rest(queues text[], numbers integer[], to_notify text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(false);
    INSERT INTO perdure.sleeper AS s (queue, number, hint, asleep)
    SELECT r.queue, r.number, to_notify, true FROM unnest(queues, numbers) AS r (queue, number) ORDER BY 1, 2
    ON CONFLICT (queue, number) DO UPDATE SET hint = excluded.hint, asleep = true;
END $$;

-- Open a connection to the owner of a partition; false where no process owns it.
CREATE OR REPLACE FUNCTION perdure.open_channel(queue_name text, partition_number integer, channel_id bigint, to_notify text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(false);
    PERFORM 1 FROM perdure.partition t JOIN perdure.lease l ON l.partition_id = t.id
    WHERE t.queue = queue_name AND t.number = partition_number AND l.owner <> '' AND l.until > clock_timestamp() AND l.until < 'infinity';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO perdure.channel (id, queue, number, role, hint) VALUES (channel_id, queue_name, partition_number, session_user, to_notify);
    RETURN true;
END $$;

-- Send to the owner, and read what it has sent; a last row with n = -1: the connection is over.
CREATE OR REPLACE FUNCTION perdure.speak(channel_id bigint, first bigint, bodies bytea[]) RETURNS TABLE (n bigint, body bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own perdure.channel;
BEGIN
    PERFORM perdure.commit_durably(false);
    UPDATE perdure.channel SET heard = clock_timestamp() WHERE id = channel_id AND role = session_user RETURNING * INTO own;
    IF FOUND AND NOT own.ended AND cardinality(bodies) > 0 THEN
        INSERT INTO perdure.channel_part (channel, to_owner, n, body)
        SELECT channel_id, true, first + r.place - 1, r.body FROM unnest(bodies) WITH ORDINALITY AS r (body, place);
        PERFORM perdure.tell_owner(own.queue, own.number);
    END IF;
    IF own.id IS NOT NULL THEN
        RETURN QUERY WITH taken AS (DELETE FROM perdure.channel_part p WHERE p.channel = channel_id AND NOT p.to_owner RETURNING p.n, p.body)
        SELECT t.n, t.body FROM taken t ORDER BY t.n;
    END IF;
    IF own.id IS NULL OR own.ended THEN
        RETURN QUERY SELECT -1::bigint, ''::bytea;
    END IF;
END $$;

-- The process that opened it is gone from it.
CREATE OR REPLACE FUNCTION perdure.leave_channel(channel_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own perdure.channel;
BEGIN
    PERFORM perdure.commit_durably(false);
    UPDATE perdure.channel t SET gone = true WHERE t.id = channel_id AND t.role = session_user RETURNING t.* INTO own;
    IF FOUND THEN
        PERFORM perdure.tell_owner(own.queue, own.number);
    END IF;
END $$;

-- Return the partition that the holder owns. The lease's row stays locked to the end of the transaction: no other owner begins meanwhile.
CREATE OR REPLACE FUNCTION perdure.served(of_partition integer, holder text) RETURNS perdure.partition
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own perdure.partition;
BEGIN
    PERFORM 1 FROM perdure.lease l WHERE l.partition_id = of_partition AND l.owner = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned', of_partition USING ERRCODE = 'PD001';
    END IF;
    SELECT * INTO own FROM perdure.partition WHERE id = of_partition;
    RETURN own;
END $$;

-- An owner begins to answer: connections to owners before it are over.
CREATE OR REPLACE FUNCTION perdure.begin_serving(of_partition integer, holder text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own perdure.partition;
BEGIN
    PERFORM perdure.commit_durably(false);
    own := perdure.served(of_partition, holder);
    DELETE FROM perdure.channel_part c USING perdure.channel h
    WHERE c.channel = h.id AND h.queue = own.queue AND h.number = own.number AND c.to_owner;
    UPDATE perdure.channel h SET ended = true WHERE h.queue = own.queue AND h.number = own.number AND NOT h.ended;
    PERFORM pg_notify(h.hint, '') FROM perdure.channel h WHERE h.queue = own.queue AND h.number = own.number;
END $$;

-- The owner sends to those that are connected, ends connections, and reads what was sent to it, about 4 MiB at a time: of each the
-- oldest first, so that one that sends much holds up no other. A row with n = -1: that one is gone, or was not heard of for too long. The lease's row is locked, so that no other owner begins meanwhile.
CREATE OR REPLACE FUNCTION perdure.serve(of_partition integer, holder text, channels bigint[], numbers bigint[], bodies bytea[], over bigint[],
                                         silent double precision)
RETURNS TABLE (channel bigint, n bigint, body bytea, role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own perdure.partition;
BEGIN
    PERFORM perdure.commit_durably(false);
    own := perdure.served(of_partition, holder);
    IF cardinality(channels) > 0 OR cardinality(over) > 0 THEN
        INSERT INTO perdure.channel_part (channel, to_owner, n, body)
        SELECT r.channel, false, r.number, r.body FROM unnest(channels, numbers, bodies) AS r (channel, number, body)
        JOIN perdure.channel h ON h.id = r.channel;
        UPDATE perdure.channel h SET ended = true WHERE h.id = ANY (over);
        PERFORM pg_notify(h.hint, '') FROM perdure.channel h WHERE h.id = ANY (channels || over);
    END IF;
    RETURN QUERY WITH waiting AS (
        SELECT c.channel, c.n, h.role, octet_length(c.body) AS size, row_number() OVER (PARTITION BY c.channel ORDER BY c.n) AS place
        FROM perdure.channel_part c JOIN perdure.channel h ON h.id = c.channel
        WHERE h.queue = own.queue AND h.number = own.number AND c.to_owner AND NOT h.ended),
    sized AS (SELECT w.*, sum(w.size) OVER (ORDER BY w.place, w.channel) - w.size AS before FROM waiting w),
    taken AS (
        DELETE FROM perdure.channel_part c USING sized s
        WHERE c.channel = s.channel AND c.n = s.n AND c.to_owner AND s.before < 4194304
        RETURNING c.channel, c.n, c.body, s.role)
    SELECT * FROM taken x ORDER BY x.channel, x.n;
    RETURN QUERY WITH dead AS (
        DELETE FROM perdure.channel h WHERE h.queue = own.queue AND h.number = own.number
        AND (h.gone OR h.heard < clock_timestamp() - make_interval(secs => silent))
        AND (h.ended OR NOT EXISTS (SELECT FROM perdure.channel_part c WHERE c.channel = h.id AND c.to_owner)) RETURNING h.id, h.role),
    parts AS (DELETE FROM perdure.channel_part c USING dead WHERE c.channel = dead.id)
    SELECT d.id, -1::bigint, ''::bytea, d.role FROM dead d;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA perdure FROM PUBLIC;
