SELECT allowed FROM claude_gpt.check_rate_limit(:'user');  -- application: owner
SELECT allowed FROM claude_gpt.rate_limit('login:192.0.2.1', 1000, '1 minute');  -- application: nobody
SELECT count(*) > 0 FROM claude_gpt.rate_limit_status();  -- operator monitor: nobody
SELECT claude_gpt.reset_rate_limit('login:192.0.2.1') IS NOT NULL;  -- operator: nobody
SELECT claude_gpt.reset_user_rate_limit(:'user') IS NOT NULL;  -- operator: nobody
SELECT claude_gpt.reset_rate_limits() >= 0;  -- operator: nobody
SELECT count(*) > 0 FROM claude_gpt.rate_limit_shares();  -- operator monitor: nobody
