#!lua flags=allow-oom
-- cancel: end a waiting job, ask the worker of a running one to stop.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id
--
-- Returns  the state afterwards; "running" means that the worker has been asked | -1 no such job
-- include jobs
local job = read_job(ARGV[6])
if not job then return -1 end
if job.state == 'queued' then
  return end_job(read_room(), read_person(job.participant), job, 'cancelled', {}, '{}')
end
if job.state == 'running' and job.stop ~= 'cancelled' then
  redis.call('HSET', 'job:' .. job.id, 'stop', 'cancelled')
  tell(job.participant, 'job.updated', job.id, '{"stop":"cancelled"}')
  redis.call('PUBLISH', 'stops', job.id)
end
return job.state
