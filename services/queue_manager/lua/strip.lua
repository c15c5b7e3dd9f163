#!lua flags=allow-oom
-- strip: the bodies of an ended job are on disk, drop them here.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id    ARGV[7]  participant
--
-- Returns  1 dropped | 0 it waits or runs again
-- include jobs
local job = read_job(ARGV[6])
if job and (job.state == 'queued' or job.state == 'running') then return 0 end
redis.call('SREM', 'unarchived', ARGV[7] .. ':' .. ARGV[6])
redis.call('UNLINK', 'workflow:' .. ARGV[6])
if job then redis.call('HDEL', 'job:' .. job.id, 'executed') end
return 1
