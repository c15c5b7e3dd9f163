-- The least that a fair, durable enqueue has to write, apart from the body: the record, the owner's line, the round.
-- KEYS  1 record of the job (hash)  2 the owner's line (list)  3 the round (sorted set: owner -> last served)  4 counter
-- ARGV  1 job id  2 owner  3 now (unix ms)
-- Returns the job's number.
local number = redis.call('INCR', KEYS[4])
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'state', 'queued', 'number', number, 'created_at', ARGV[3])
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], 'NX', 0, ARGV[2])
return number
