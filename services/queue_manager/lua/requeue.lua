#!lua
-- requeue: let a job that ended without success wait again, under its id, as if it had just arrived.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id    ARGV[7]  nonce of a workflow SET just before, or ""
--
-- Returns  1 waits again | 0 it is not dead, failed or cancelled | -1 no such job | -2 its workflow is gone
--          | -3 the owner's waiting cap is reached
-- include jobs
local job = read_job(ARGV[6])
if not job then return -1 end
if job.state ~= 'dead' and job.state ~= 'failed' and job.state ~= 'cancelled' then return 0 end
local room, person = read_room(), read_person(job.participant)
if person.waiting >= (person.waiting_cap or room.waiting_cap) then return -3 end

local key, workflow, member = 'job:' .. job.id, 'workflow:' .. job.id, person.name .. ':' .. job.id
if redis.call('EXISTS', workflow) == 0 then
  if ARGV[7] == '' or redis.call('EXISTS', 'arrived:' .. ARGV[7]) == 0 then return -2 end
end
job.arrival = redis.call('HINCRBY', 'queue', 'arrivals', 1)
if redis.call('EXISTS', workflow) == 0 then redis.call('RENAME', 'arrived:' .. ARGV[7], workflow) end
redis.call('PERSIST', workflow)
redis.call('PERSIST', key)
redis.call('HSET', key, 'state', 'queued', 'attempt', 0, 'arrival', job.arrival, 'token', '', 'worker', '', 'error', '')
redis.call('HDEL', key, 'started_at', 'ended_at', 'outputs', 'executed', 'cached_nodes')
redis.call('ZREM', 'ended', member)
redis.call('ZREM', 'ended:' .. person.name, job.id)
redis.call('SREM', 'unarchived', member)
redis.call('ZADD', 'live', job.arrival, job.id)
redis.call('ZADD', 'live:' .. person.name, job.arrival, job.id)
add_to_line(person, job, job.arrival)
refresh_turns(room, person)
write_person(person)
tell(person.name, 'job.requeued', job.id, '{"reason":"by_hand","attempt":0}')
ring(job.pool)
return 1
