#!lua flags=allow-oom
-- complete: record success, once, for the holder of the lease.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id         ARGV[8]   run time, milliseconds, 0 when not known
--                                 ARGV[7]  lease token    ARGV[9]   outputs, JSON
--                                                         ARGV[10]  executed, JSON
--                                                         ARGV[11]  cached nodes, JSON
--
-- Returns  {1, state} recorded now | {0, state} was recorded before | {-1, ""} the token does not lease the job
-- include jobs
local job = read_job(ARGV[6])
local leased, answer = lease_of(job, ARGV[7])
if not leased then return answer end

-- The last run times of its kind, and of all kinds together, in its pool: the ground of the estimates.
local function measured(key)
  redis.call('LPUSH', key, ARGV[8])
  redis.call('LTRIM', key, 0, 19)
  redis.call('PEXPIRE', key, KEEP)
end
if tonumber(ARGV[8]) > 0 then
  measured('runs:' .. job.pool .. ':')
  measured(job.cold and 'cold-runs:' .. job.pool .. ':' .. job.kind or 'runs:' .. job.pool .. ':' .. job.kind)
end
local fields = {'outputs', ARGV[9], 'executed', ARGV[10], 'cached_nodes', ARGV[11], 'error', ''}
return {1, end_job(read_room(), read_person(job.participant), job, 'succeeded', fields, '{}')}
