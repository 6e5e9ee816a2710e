-- Version 3: up to which event each log was known to be durable, written by processes that saw it. `accepted` is when an operator last
-- said that a log which holds less is to be gone on with (milliseconds since the epoch, 0: never): later marks count only from then on.
CREATE TABLE perdure.high_water (
    queue text NOT NULL,
    number integer NOT NULL,
    store_id bytea NOT NULL CHECK (octet_length(store_id) = 16),
    accepted bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (queue, number)
) WITH (fillfactor = 50);
