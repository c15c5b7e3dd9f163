#!lua flags=allow-oom
-- extend_lease: keep a job leased for longer, if the caller still holds it.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id    ARGV[7]  lease token    ARGV[8]  lease, milliseconds
--
-- Returns  {new expiry, unix milliseconds; "", "cancelled" or "preempted"} | -1 the token does not lease the job
-- include room
local v = redis.call('HMGET', 'job:' .. ARGV[6], 'state', 'token', 'stop')
if v[1] ~= 'running' or v[2] ~= ARGV[7] then return -1 end
local expires = NOW + tonumber(ARGV[8])
redis.call('ZADD', 'leases', expires, ARGV[6])
return {expires, v[3] or ''}
