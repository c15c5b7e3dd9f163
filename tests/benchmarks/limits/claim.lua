-- The least that a fair claim has to do: whose turn is it, his oldest job, the lease, the round turned on.
-- KEYS  1 the round (sorted set: owner -> last served)  2 leases (sorted set: job -> end)  3 counter of claims
-- ARGV  1 prefix of the owners' lines  2 prefix of the records  3 end of the lease (unix ms)
-- Returns the job id, or false when nobody waits.
local first = redis.call('ZRANGE', KEYS[1], 0, 0)
if #first == 0 then return false end
local line = ARGV[1] .. first[1]
local job = redis.call('LPOP', line)
if redis.call('LLEN', line) == 0 then
  redis.call('ZREM', KEYS[1], first[1])
else
  redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[3]), first[1])
end
redis.call('HSET', ARGV[2] .. job, 'state', 'running')
redis.call('ZADD', KEYS[2], ARGV[3], job)
return job
