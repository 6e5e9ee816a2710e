-- Version 2: what passes between an owner and other processes through the database. docs/FORMATS.md tells what is in the tables.

-- A connection of another process to the owner of a partition. Unlogged, as are the next two: a crash of the server ends all
-- connections, and both ends begin anew.
CREATE UNLOGGED TABLE perdure.channel (
    id bigint PRIMARY KEY,
    queue text NOT NULL,
    number integer NOT NULL,
    role text NOT NULL,
    hint text NOT NULL,
    heard timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended boolean NOT NULL DEFAULT false,
    gone boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
CREATE INDEX ON perdure.channel (queue, number);

-- What was sent over it and not read: frames as over a socket, cut anywhere.
CREATE UNLOGGED TABLE perdure.channel_part (
    channel bigint NOT NULL,
    to_owner boolean NOT NULL,
    n bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (channel, to_owner, n)
);

-- The first event of the frame that has taken the row in; the next such frame removes it. A frame that is voided gives its rows back.
ALTER TABLE perdure.ingress ADD COLUMN taken_by bigint;

-- Owners that look no more until they are told that something came, and by what NOTIFY.
CREATE UNLOGGED TABLE perdure.sleeper (
    queue text NOT NULL,
    number integer NOT NULL,
    hint text NOT NULL,
    asleep boolean NOT NULL,
    PRIMARY KEY (queue, number)
) WITH (fillfactor = 50);
