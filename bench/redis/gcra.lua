-- A rate limit as GCRA, by the clock of the server: what rate_limit(key, limit, period) answers.
-- KEYS[1] the key; ARGV[1] calls a period, ARGV[2] the period in microseconds.
local limit, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local interval = period / limit
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval
local wait = full_at - period - now
if wait > 0 then
    return {0, limit, 0, math.ceil(wait / 1000000), math.ceil((full_at - interval - now) / 1000000)}
end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return {1, limit, math.floor((period - (full_at - now)) / interval), 0, math.ceil((full_at - now) / 1000000)}
