-- A quota that is never exceeded, with a record of each call: what consume_quota(user) does.
-- KEYS[1] a hash with the user's counters, KEYS[2] the stream that is the ledger; ARGV[1] messages a month.
local limit = tonumber(ARGV[1])
local used = tonumber(redis.call('HGET', KEYS[1], 'monthly_message_count') or 0)
if used + 1 > limit then
    return {0, limit, used, 0}
end
local time = redis.call('TIME')
redis.call('HINCRBY', KEYS[1], 'monthly_message_count', 1)
redis.call('HINCRBY', KEYS[1], 'total_message_count', 1)
redis.call('HSET', KEYS[1], 'last_active_at', time[1])
local record = redis.call('XADD', KEYS[2], '*', 'user', KEYS[1], 'type', 'message', 'quantity', 1)
return {1, limit, used + 1, limit - used - 1, record}
