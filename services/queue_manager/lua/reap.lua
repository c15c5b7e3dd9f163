#!lua flags=allow-oom
-- reap: take back the leases that ran out.
--
-- ARGV[1..5]  see include/room    ARGV[6]  how many at most    ARGV[7]  error of a job that died of it, JSON
--
-- Returns  the ids of the jobs taken back
-- include jobs
local expired = redis.call('ZRANGE', 'leases', '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[6])
local room = read_room()
for _, id in ipairs(expired) do
  local job = read_job(id)
  if job then
    give_up(room, read_person(job.participant), job, true, ARGV[7], 'lease_expired')
  else
    redis.call('ZREM', 'leases', id)
  end
end
return expired
