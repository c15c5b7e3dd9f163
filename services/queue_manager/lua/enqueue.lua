#!lua
-- enqueue: take jobs of one participant in, all or none. The workflows were SET just before, under `arrived:<nonce>`.
--
-- ARGV[1..5]  see include/room    ARGV[6]  participant    ARGV[7]  how long idempotency keys are kept, milliseconds
-- ARGV[8..]   per job: id, nonce, pool, kind, model, rank, front 0|1, spec, idempotency key or ""
--
-- Returns  {id, number, state, duplicate 0|1} per job | {-1, cap, waiting} | {-2, id of another owner's job}
--          | {-3} a workflow is not there (any more)
-- include jobs
local room, person = read_room(), read_person(ARGV[6])
local FIELDS = 9

local function known_job(id, submit)
  local v = redis.call('HMGET', 'job:' .. id, 'participant', 'number', 'state')
  if not v[1] and submit ~= '' then
    id = redis.call('GET', 'submit:' .. person.name .. ':' .. submit)
    v = id and redis.call('HMGET', 'job:' .. id, 'participant', 'number', 'state') or v
  end
  return v[1] and {id, v[2], v[3], 1, owner = v[1]}
end

local answers, new = {}, {}
local function refuse(...)
  for i = 9, #ARGV, FIELDS do redis.call('UNLINK', 'arrived:' .. ARGV[i]) end
  return {...}
end
for i = 8, #ARGV, FIELDS do
  local known = known_job(ARGV[i], ARGV[i + 8])
  if known and known.owner ~= person.name then return refuse(-2, ARGV[i]) end
  answers[#answers + 1] = known or false
  if known then redis.call('UNLINK', 'arrived:' .. ARGV[i + 1]) else new[#new + 1] = i end
end
local cap = person.waiting_cap or room.waiting_cap
if #new > 0 and person.waiting + #new > cap then return refuse(-1, cap, person.waiting) end
for _, i in ipairs(new) do
  if redis.call('PERSIST', 'arrived:' .. ARGV[i + 1]) == 0 then return refuse(-3) end
end

-- A job behind others of its owner changes nobody's turn, except where a higher class may go first.
local turns_stay = room.discipline ~= 'priority'
local arrival = redis.call('HINCRBY', 'queue', 'arrivals', #new) - #new
for _, i in ipairs(new) do
  local id, pool, rank, submit = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 5]), ARGV[i + 8]
  arrival, person.number = arrival + 1, person.number + 1
  redis.call('RENAME', 'arrived:' .. ARGV[i + 1], 'workflow:' .. id)
  redis.call('HSET', 'job:' .. id, 'participant', person.name, 'number', person.number, 'state', 'queued', 'rank', rank,
    'pool', pool, 'kind', ARGV[i + 3], 'model', ARGV[i + 4], 'arrival', arrival, 'attempt', 0, 'created_at', ARGV[1],
    'spec', ARGV[i + 7])
  local front = ARGV[i + 6] == '1'
  turns_stay = turns_stay and not front and waits_in(person, pool)
  add_to_line(person, {id = id, pool = pool, rank = rank}, front and front_order() or arrival)
  redis.call('ZADD', 'live', arrival, id)
  redis.call('ZADD', 'live:' .. person.name, arrival, id)
  if submit ~= '' then redis.call('SET', 'submit:' .. person.name .. ':' .. submit, id, 'PX', ARGV[7]) end
  tell(person.name, 'job.queued', id, '{"number":' .. person.number .. '}')
  answers[(i - 8) / FIELDS + 1] = {id, person.number, 'queued', 0}
  ring(pool)
end
if #new > 0 then
  if person.number == #new then redis.call('SADD', 'people', person.name) end
  person.left = false
  if not turns_stay then refresh_turns(room, person) end
  write_person(person)
end
return answers
