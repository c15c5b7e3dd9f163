#!lua flags=allow-oom
-- forget: remove every trace of an ended job.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id    ARGV[7]  participant, where the record is gone already, or ""
--
-- Returns  1 gone | 0 it has not ended | -1 no such job
-- include jobs
local job = read_job(ARGV[6])
local name = job and job.participant or ARGV[7]
if name == '' then return -1 end
if job and (job.state == 'queued' or job.state == 'running') then return 0 end
redis.call('ZREM', 'ended', name .. ':' .. ARGV[6])
redis.call('ZREM', 'ended:' .. name, ARGV[6])
redis.call('SREM', 'unarchived', name .. ':' .. ARGV[6])
redis.call('UNLINK', 'job:' .. ARGV[6], 'workflow:' .. ARGV[6])
return 1
