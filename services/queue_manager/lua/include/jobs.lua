-- jobs: the moves of a job between waiting, running and ended, as the other scripts use them.
-- include people
local MAX_ATTEMPTS = 3
local DAY_MS = 86400000

local function read_job(id)
  local v = redis.call('HMGET', 'job:' .. id, 'participant', 'state', 'token', 'stop', 'attempt', 'pool', 'kind',
    'cold', 'rank', 'arrival', 'run_next')
  if not v[1] then return nil end
  return {
    id = id, participant = v[1], state = v[2], token = v[3], stop = v[4] or '', attempt = tonumber(v[5]), pool = v[6],
    kind = v[7], cold = v[8] == '1', rank = tonumber(v[9]), arrival = tonumber(v[10]), run_next = v[11] == '1',
  }
end

-- Put a job into its owner's line; the caller brings the turns up to date and writes the person.
local function add_to_line(person, job, order)
  redis.call('ZADD', 'line:' .. job.pool .. ':' .. person.name, job.rank * RANK + order, job.id)
  person.classes = person.classes or job.rank ~= 2
  person.waiting = person.waiting + 1
  add_pool(person, job.pool)
end

local function take_from_line(person, job)
  redis.call('ZREM', 'line:' .. job.pool .. ':' .. person.name, job.id)
  if job.run_next then redis.call('ZREM', 'turns:' .. job.pool, '!' .. job.id) end
  person.waiting = person.waiting - 1
end

local function front_order() return redis.call('HINCRBY', 'queue', 'fronts', -1) end

-- A running job waits again, first in its owner's line.
local function return_job(room, person, job, attempt, reason)
  redis.call('ZREM', 'leases', job.id)
  person.running = person.running - 1
  add_to_line(person, job, front_order())
  redis.call('HSET', 'job:' .. job.id, 'state', 'queued', 'token', '', 'stop', '', 'worker', '', 'attempt', attempt)
  refresh_turns(room, person)
  write_person(person)
  tell(person.name, 'job.requeued', job.id, cjson.encode({reason = reason, attempt = attempt}))
  ring(job.pool)
  return 'queued'
end

-- Record a final state; `fields` are further (name, value) pairs of the record.
local function end_job(room, person, job, state, fields, event_data)
  local key, name = 'job:' .. job.id, person.name
  if job.state == 'running' then
    redis.call('ZREM', 'leases', job.id)
    person.running = person.running - 1
  else
    take_from_line(person, job)
  end
  redis.call('HSET', key, 'state', state, 'ended_at', ARGV[1], 'stop', '', 'run_next', '0', unpack(fields))
  redis.call('PEXPIRE', key, KEEP)
  redis.call('PEXPIRE', 'workflow:' .. job.id, KEEP)
  redis.call('ZREM', 'live', job.id)
  redis.call('ZREM', 'live:' .. name, job.id)
  redis.call('ZADD', 'ended', job.arrival, name .. ':' .. job.id)
  redis.call('ZADD', 'ended:' .. name, job.arrival, job.id)
  redis.call('SADD', 'unarchived', name .. ':' .. job.id)
  local day = math.floor(NOW / DAY_MS)
  person.ended_day, person.ended_count = day, (person.ended_day == day and person.ended_count or 0) + 1
  refresh_turns(room, person)
  write_person(person)
  tell(name, 'job.' .. state, job.id, event_data)
  return state
end

-- Whether this token leases the job; otherwise the answer that the script shall give.
local function lease_of(job, token)
  if not job or token == '' or job.token ~= token then return false, {-1, ''} end
  if job.state == 'running' then return true end
  return false, {0, job.state}  -- the answer to the report that ended it was lost
end

-- The lease is over without a result: a stop that was asked for decides, else the attempts.
local function give_up(room, person, job, count_attempt, error, reason)
  if job.stop == 'cancelled' then return end_job(room, person, job, 'cancelled', {}, '{}') end
  if job.stop == 'preempted' then return return_job(room, person, job, job.attempt - 1, 'preempted') end
  if not count_attempt then return return_job(room, person, job, job.attempt - 1, reason) end
  if job.attempt < MAX_ATTEMPTS then return return_job(room, person, job, job.attempt, reason) end
  return end_job(room, person, job, 'dead', {'error', error}, '{"error":' .. error .. '}')
end
