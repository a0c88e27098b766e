-- Users in random order, in 20 batches: whose calls are measured inside one backend. None twice in a batch,
-- and few on one page, since what a transaction updated cannot be pruned before its end.
SELECT setseed(0.2) \g /dev/null
CREATE TABLE bench.callers AS
SELECT ntile(20) OVER (ORDER BY random()) AS batch, id FROM :schema.users;
CREATE INDEX ON bench.callers (batch);
