SELECT * FROM rate_limit('everybody' || left(:client_id::text, 0), 1000000, '1 minute');
