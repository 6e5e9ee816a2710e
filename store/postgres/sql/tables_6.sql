-- Version 6: a row of the ingress has by how much the database's clock was ahead of its publisher's; null where that is not known, as in
-- rows of older publishers.
ALTER TABLE perdure.ingress ADD COLUMN IF NOT EXISTS ahead_us bigint;
