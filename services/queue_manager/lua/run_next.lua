#!lua
-- run_next: let a waiting job overtake all others of its pool, in every discipline. The first one asked for goes first.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id
--
-- Returns  1 done | 0 it does not wait | -1 no such job
-- include jobs
local job = read_job(ARGV[6])
if not job then return -1 end
if job.state ~= 'queued' then return 0 end
if not job.run_next then
  redis.call('HSET', 'job:' .. job.id, 'run_next', '1')
  redis.call('ZADD', 'turns:' .. job.pool, redis.call('HINCRBY', 'queue', 'firsts', 1) - CAPPED, '!' .. job.id)
  tell(job.participant, 'job.updated', job.id, '{"run_next":true}')
end
return 1
