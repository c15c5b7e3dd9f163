#!lua flags=allow-oom
-- release: the holder of the lease ends it without a result.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id         ARGV[8]   outcome: failed (for good), retry (counts as an
--                                 ARGV[7]  lease token              attempt), stopped (as it was told), returned
--                                 ARGV[9]  error, JSON    ARGV[10]  reason for going back to the line
--
-- Returns  {1, state} recorded now | {0, state} was recorded before | {-1, ""} the token does not lease the job
-- include jobs
local job = read_job(ARGV[6])
local leased, answer = lease_of(job, ARGV[7])
if not leased then return answer end

local room, person, outcome = read_room(), read_person(job.participant), ARGV[8]
if outcome == 'failed' and job.stop ~= 'cancelled' then
  return {1, end_job(room, person, job, 'failed', {'error', ARGV[9]}, '{"error":' .. ARGV[9] .. '}')}
end
if outcome == 'stopped' and job.stop ~= 'preempted' then job.stop = 'cancelled' end
return {1, give_up(room, person, job, outcome == 'retry', ARGV[9], ARGV[10])}
