-- All that writes. A caller that does not own the partition any more gets SQLSTATE PD001, and nothing was changed.

-- Sets how the transaction that calls it commits. A setting round a statement of one pipeline would end before the commit.
CREATE OR REPLACE FUNCTION perdure.commit_durably(durable boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT durable THEN
        PERFORM pg_catalog.set_config('synchronous_commit', 'off', true);
    ELSIF pg_catalog.current_setting('synchronous_commit') = 'off' THEN
        PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION perdure.append(of_partition integer, at_epoch bigint, from_seq bigint, events integer, frame_body bytea, durable boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last bigint;
BEGIN
    -- The lock waits for a claim that is under way, and lets the next claim wait for this append.
    PERFORM 1 FROM perdure.partition WHERE id = of_partition AND epoch = at_epoch FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned at epoch %', of_partition, at_epoch USING ERRCODE = 'PD001';
    END IF;
    SELECT f.first_seq + f.count - 1 INTO last FROM perdure.frame f WHERE f.partition_id = of_partition
    ORDER BY f.first_seq DESC, f.count DESC LIMIT 1;
    IF NOT FOUND THEN
        SELECT first_seq - 1 INTO last FROM perdure.partition WHERE id = of_partition;
    END IF;
    IF last <> from_seq - 1 THEN
        RAISE EXCEPTION 'a frame for sequence % where % is next', from_seq, last + 1 USING ERRCODE = 'PD002';
    END IF;
    INSERT INTO perdure.frame (partition_id, first_seq, count, body) VALUES (of_partition, from_seq, events, frame_body);
    IF NOT durable THEN -- as `commit_durably`, without the call
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

-- As above, durably, and take rows of the ingress in with the frame: all of them, or nothing is done. They are gone for readers, and
-- removed by the next such frame: by then this one is known to stay, and until then `void` can give them back.
CREATE OR REPLACE FUNCTION perdure.append_taking(of_partition integer, at_epoch bigint, from_seq bigint, events integer, frame_body bytea, taken bigint[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own perdure.partition;
    gone bigint;
BEGIN
    PERFORM perdure.append(of_partition, at_epoch, from_seq, events, frame_body, true);
    SELECT * INTO own FROM perdure.partition WHERE id = of_partition;
    DELETE FROM perdure.ingress i WHERE i.queue = own.queue AND i.number = own.number AND i.taken_by < from_seq;
    UPDATE perdure.ingress i SET taken_by = from_seq WHERE i.id = ANY (taken) AND i.taken_by IS NULL;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone <> cardinality(taken) THEN
        RAISE EXCEPTION '% of % rows of the ingress are there', gone, cardinality(taken) USING ERRCODE = 'PD005';
    END IF;
END $$;

-- Take over a partition. `instead_of` is an owner whose session is known to have ended; `again`: only if it is still the caller's.
-- The new epoch is set behind the row's lock, so no append of an older one can follow it.
CREATE OR REPLACE FUNCTION perdure.claim(queue_name text, partition_number integer, holder text, seconds double precision, instead_of text, again boolean,
                              new_id bytea, new_chain bytea)
RETURNS TABLE (id integer, epoch bigint, store_id bytea, first_seq bigint, begins_after bytea, closed boolean, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    held perdure.lease;
    of_partition integer;
    is_new boolean := false;
BEGIN
    PERFORM perdure.commit_durably(true);
    SELECT t.id INTO of_partition FROM perdure.partition t WHERE t.queue = queue_name AND t.number = partition_number;
    IF of_partition IS NULL AND NOT again THEN
        INSERT INTO perdure.partition (queue, number, store_id, begins_after) VALUES (queue_name, partition_number, new_id, new_chain)
        ON CONFLICT DO NOTHING;
        is_new := FOUND;
        SELECT t.id INTO of_partition FROM perdure.partition t WHERE t.queue = queue_name AND t.number = partition_number;
        INSERT INTO perdure.lease (partition_id) VALUES (of_partition) ON CONFLICT DO NOTHING;
    END IF;
    SELECT * INTO held FROM perdure.lease l WHERE l.partition_id = of_partition FOR UPDATE;
    IF again AND held.owner IS DISTINCT FROM holder THEN
        RAISE EXCEPTION 'another owner has taken over' USING ERRCODE = 'PD001';
    END IF;
    IF held.owner <> holder AND held.until = 'infinity' THEN
        RAISE EXCEPTION 'the partition holds an unfinished copy' USING ERRCODE = 'PD004';
    END IF;
    IF held.owner NOT IN ('', holder, instead_of) AND held.until > clock_timestamp() THEN
        RAISE EXCEPTION 'the partition is owned' USING ERRCODE = 'PD003', DETAIL = held.owner,
            HINT = ceil(extract(epoch FROM held.until - clock_timestamp()))::text;
    END IF;
    UPDATE perdure.lease l SET owner = holder, until = clock_timestamp() + make_interval(secs => seconds), closed = false
    WHERE l.partition_id = of_partition;
    UPDATE perdure.partition t SET epoch = t.epoch + 1 WHERE t.id = of_partition;
    RETURN QUERY SELECT t.id, t.epoch, t.store_id, t.first_seq, t.begins_after, held.closed, is_new
    FROM perdure.partition t WHERE t.id = of_partition;
END $$;

-- Keep a partition; false if it is another's. `durable` makes all that was appended before outlast a crash of the server.
CREATE OR REPLACE FUNCTION perdure.renew(of_partition integer, holder text, seconds double precision, durable boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(durable);
    UPDATE perdure.lease l SET until = clock_timestamp() + make_interval(secs => seconds)
    WHERE l.partition_id = of_partition AND l.owner = holder;
    RETURN FOUND;
END $$;

-- Give a partition up.
CREATE OR REPLACE FUNCTION perdure.release(of_partition integer, holder text, in_order boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(true);
    UPDATE perdure.lease l SET owner = '', until = '-infinity', closed = in_order WHERE l.partition_id = of_partition AND l.owner = holder;
    IF FOUND THEN
        PERFORM pg_notify('perdure_cluster', ''); -- nodes that wait for it look at once
    END IF;
END $$;

-- Remove what came after a sequence number, and snapshots of it; return how many frames and bytes went.
CREATE OR REPLACE FUNCTION perdure.void(of_partition integer, at_epoch bigint, after bigint, OUT frames bigint, OUT bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM perdure.partition t WHERE t.id = of_partition AND t.epoch = at_epoch FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned at epoch %', of_partition, at_epoch USING ERRCODE = 'PD001';
    END IF;
    PERFORM perdure.commit_durably(true);
    WITH gone AS (DELETE FROM perdure.frame f WHERE f.partition_id = of_partition AND f.first_seq > after AND f.first_seq + f.count - 1 > after
                  RETURNING octet_length(f.body) AS size)
    SELECT count(*), coalesce(sum(size), 0) INTO frames, bytes FROM gone;
    DELETE FROM perdure.snapshot s WHERE s.partition_id = of_partition AND s.seq > after;
    UPDATE perdure.ingress i SET taken_by = NULL FROM perdure.partition t
    WHERE t.id = of_partition AND i.queue = t.queue AND i.number = t.number AND i.taken_by > after;
END $$;

CREATE OR REPLACE FUNCTION perdure.add_snapshot_part(of_partition integer, holder text, snapshot bigint, part_number integer, part_body bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM perdure.lease l WHERE l.partition_id = of_partition AND l.owner = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned', of_partition USING ERRCODE = 'PD001';
    END IF;
    PERFORM perdure.commit_durably(false);
    INSERT INTO perdure.snapshot_part VALUES (of_partition, snapshot, part_number, part_body);
END $$;

-- A snapshot is there once its row is. `oldest` is the oldest that is still needed.
CREATE OR REPLACE FUNCTION perdure.finish_snapshot(of_partition integer, holder text, at bigint, snapshot bigint, part_count integer, bytes bigint, oldest bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM perdure.lease l WHERE l.partition_id = of_partition AND l.owner = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned', of_partition USING ERRCODE = 'PD001';
    END IF;
    PERFORM perdure.commit_durably(true);
    IF part_count <> (SELECT count(*) FROM perdure.snapshot_part c WHERE c.partition_id = of_partition AND c.snapshot_id = snapshot) THEN
        RAISE EXCEPTION 'parts of snapshot % are missing', snapshot USING ERRCODE = 'PD002';
    END IF;
    INSERT INTO perdure.snapshot VALUES (of_partition, at, snapshot, part_count, bytes)
    ON CONFLICT (partition_id, seq) DO UPDATE SET id = excluded.id, parts = excluded.parts, size = excluded.size;
    DELETE FROM perdure.snapshot s WHERE s.partition_id = of_partition AND s.seq < oldest;
    DELETE FROM perdure.snapshot_part c WHERE c.partition_id = of_partition
    AND c.snapshot_id NOT IN (SELECT s.id FROM perdure.snapshot s WHERE s.partition_id = of_partition);
END $$;

-- Let history begin with a later frame; `chain` is the chain hash that it continues. `sweep` removes what lies before it.
CREATE OR REPLACE FUNCTION perdure.drop_history(of_partition integer, at_epoch bigint, before bigint, chain bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM perdure.commit_durably(true);
    UPDATE perdure.partition t SET first_seq = before, begins_after = chain WHERE t.id = of_partition AND t.epoch = at_epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned at epoch %', of_partition, at_epoch USING ERRCODE = 'PD001';
    END IF;
END $$;

-- Remove up to `most` frames before the beginning of history; return how many went. It holds up no append.
CREATE OR REPLACE FUNCTION perdure.sweep(of_partition integer, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM perdure.commit_durably(false);
    DELETE FROM perdure.frame f WHERE f.partition_id = of_partition AND f.first_seq IN (
        SELECT g.first_seq FROM perdure.frame g WHERE g.partition_id = of_partition
        AND g.first_seq < (SELECT t.first_seq FROM perdure.partition t WHERE t.id = of_partition) ORDER BY g.first_seq LIMIT most);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Remove a copy that was not finished. Whatever still writes it gets PD001.
CREATE OR REPLACE FUNCTION perdure.discard_copy(of_partition integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM perdure.lease l WHERE l.partition_id = of_partition AND l.until = 'infinity';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is no unfinished copy', of_partition USING ERRCODE = 'PD001';
    END IF;
    DELETE FROM perdure.frame f WHERE f.partition_id = of_partition;
    DELETE FROM perdure.snapshot s WHERE s.partition_id = of_partition;
    DELETE FROM perdure.snapshot_part c WHERE c.partition_id = of_partition;
    DELETE FROM perdure.partition t WHERE t.id = of_partition;
END $$;

-- Begin a copy of a log in a partition of its own. No system starts on it before it is released.
CREATE OR REPLACE FUNCTION perdure.create_copy(queue_name text, partition_number integer, holder text, id_of_log bytea, begins_with bigint, at_epoch bigint, chain bytea)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    of_partition integer;
BEGIN
    INSERT INTO perdure.partition (queue, number, store_id, begins_after, first_seq, epoch)
    VALUES (queue_name, partition_number, id_of_log, chain, begins_with, at_epoch) RETURNING id INTO of_partition;
    INSERT INTO perdure.lease (partition_id, owner, until, closed) VALUES (of_partition, holder, 'infinity', false);
    RETURN of_partition;
END $$;

-- Add frames to a copy, as they are.
CREATE OR REPLACE FUNCTION perdure.add_frames(of_partition integer, holder text, seqs bigint[], counts integer[], bodies bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM perdure.lease l WHERE l.partition_id = of_partition AND l.owner = holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'partition % is not owned', of_partition USING ERRCODE = 'PD001';
    END IF;
    PERFORM perdure.commit_durably(false);
    INSERT INTO perdure.frame (partition_id, first_seq, count, body)
    SELECT of_partition, r.seq, r.events, r.body FROM unnest(seqs, counts, bodies) AS r (seq, events, body);
END $$;
