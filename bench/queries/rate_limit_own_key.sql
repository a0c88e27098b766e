SELECT * FROM rate_limit('client' || :client_id, 1000000, '1 minute');
