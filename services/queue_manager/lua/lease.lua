#!lua flags=allow-oom
-- lease: give the next job to a worker.
--
-- ARGV[1..5]  see include/room    ARGV[6]  worker              ARGV[9]    lease, milliseconds
--                                 ARGV[7]  its loaded model    ARGV[10..] pools it may take from
--                                 ARGV[8]  lease token
--
-- Returns  nil nothing to do | {id, participant, number, attempt, spec}
-- include people
-- include affinity
local room = read_room()
if room.closed then return nil end

local chosen, score, pool
for i = 10, #ARGV do
  local first = redis.call('ZRANGE', turns_key(ARGV[i]), 0, 0, 'WITHSCORES')
  if first[1] and (not chosen or tonumber(first[2]) < score) then
    chosen, score, pool = first[1], tonumber(first[2]), ARGV[i]
  end
end
if not chosen then return nil end

-- A turn that begins with "!" is a single job which the instructor put first.
local id, job, person
if string.sub(chosen, 1, 1) == '!' then
  id = string.sub(chosen, 2)
  job = read_waiting(id)
  person = read_person(job.participant)
  redis.call('ZREM', turns_key(pool), chosen)
else
  person = read_person(chosen)
  id = line_head(line_key(pool, chosen), person, room.discipline == 'priority')
  job = read_waiting(id)
  if ARGV[7] ~= '' and job.model ~= ARGV[7] and room.discipline == 'round_robin' and score < CAPPED / 2 then
    id, job, person = prefer_loaded(room, pool, id, job, person, ARGV[7])
  end
  if job.run_next == '1' then redis.call('ZREM', turns_key(pool), '!' .. id) end
end

redis.call('ZREM', line_key(pool, person.name), id)
person.waiting, person.running = person.waiting - 1, person.running + 1
person.served = redis.call('HINCRBY', QUEUE, 'served', 1)
refresh_turns(room, person)
write_person(person)

local attempt, cold = job.attempt + 1, job.model ~= '' and job.model ~= ARGV[7] and '1' or '0'
redis.call('HSET', job_key(id), 'state', 'running', 'worker', ARGV[6], 'token', ARGV[8], 'attempt', attempt, 'stop', '',
  'run_next', '0', 'started_at', ARGV[1], 'cold', cold)
redis.call('ZADD', LEASES, NOW + tonumber(ARGV[9]), id)
redis.call('XADD', events_key(person.name), 'MAXLEN', '~', EVENTS, '*', 'type', 'job.running', 'job', id, 'at', ARGV[1],
  'data', '{"worker":"' .. ARGV[6] .. '","attempt":' .. attempt .. '}')
return {id, person.name, job.number, attempt, job.spec}
