SELECT * FROM bench.same_row('client' || :client_id, 1000000, '1 minute');
