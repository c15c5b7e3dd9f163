#!lua flags=allow-oom
-- preempt: ask the worker of a running job to stop and hand it back.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id
--
-- Returns  1 asked | 0 it does not run | -1 no such job
-- include jobs
local job = read_job(ARGV[6])
if not job then return -1 end
if job.state ~= 'running' then return 0 end
if job.stop == '' then
  redis.call('HSET', 'job:' .. job.id, 'stop', 'preempted')
  tell(job.participant, 'job.updated', job.id, '{"stop":"preempted"}')
  redis.call('PUBLISH', 'stops', job.id)
end
return 1
