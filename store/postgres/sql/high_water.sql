-- Up to where logs were known to be durable. A database that fails over to a standby which lagged behind has lost the newest of these
-- marks with the rest; processes that outlive it write them again, and a new owner that finds less than they say refuses.

-- Write the marks of one process that are above those on record, of logs that are still there; return all of the queue.
CREATE OR REPLACE FUNCTION perdure.note_high_water(queue_name text, numbers integer[], ids bytea[], accepts bigint[], seqs bigint[], durable boolean)
RETURNS TABLE (number integer, store_id bytea, accepted bigint, seq bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF cardinality(numbers) > 0 THEN
        PERFORM perdure.commit_durably(durable);
        INSERT INTO perdure.high_water AS h (queue, number, store_id, accepted, seq)
        SELECT queue_name, m.number, m.id, m.accepted, m.seq FROM unnest(numbers, ids, accepts, seqs) AS m (number, id, accepted, seq)
        JOIN perdure.partition p ON p.queue = queue_name AND p.number = m.number AND p.store_id = m.id
        ORDER BY m.number
        ON CONFLICT (queue, number) DO UPDATE SET store_id = excluded.store_id, accepted = excluded.accepted, seq = excluded.seq
        WHERE h.store_id <> excluded.store_id OR (excluded.accepted, excluded.seq) > (h.accepted, h.seq);
    END IF;
    RETURN QUERY SELECT h.number, h.store_id, h.accepted, h.seq FROM perdure.high_water h WHERE h.queue = queue_name;
END $$;

-- Say that a log is to be gone on with from where it ends; return where that is, and up to where it was known to be durable.
CREATE OR REPLACE FUNCTION perdure.accept_loss(queue_name text, partition_number integer, OUT ends_at bigint, OUT known bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own perdure.partition;
BEGIN
    PERFORM perdure.commit_durably(true);
    SELECT * INTO own FROM perdure.partition p WHERE p.queue = queue_name AND p.number = partition_number FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT f.first_seq + f.count - 1 INTO ends_at FROM perdure.frame f WHERE f.partition_id = own.id
    ORDER BY f.first_seq DESC, f.count DESC LIMIT 1;
    ends_at := coalesce(ends_at, own.first_seq - 1);
    SELECT h.seq INTO known FROM perdure.high_water h WHERE h.queue = queue_name AND h.number = partition_number AND h.store_id = own.store_id;
    known := coalesce(known, 0);
    IF known > ends_at THEN
        UPDATE perdure.high_water h SET accepted = ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint, seq = ends_at
        WHERE h.queue = queue_name AND h.number = partition_number;
    END IF;
END $$;
