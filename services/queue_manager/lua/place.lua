#!lua flags=allow-oom
-- place: how many jobs are expected to start before a waiting job.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id
--
-- Returns  nil it does not wait | {pool, position, owner waits at his running cap 0|1, his running cap,
--                                run next 0|1, kind, model}
--
-- Exact for up to 64 people waiting in the pool; of more, 64 are counted and the others taken to be like them.
-- include jobs
local job = read_job(ARGV[6])
if not job or job.state ~= 'queued' then return nil end
local turns, room, person = 'turns:' .. job.pool, read_room(), read_person(job.participant)
local SAMPLE = 64
local function answer(position, capped, first)
  local cap, model = person.running_cap or room.running_cap, redis.call('HGET', 'job:' .. job.id, 'model')
  return {job.pool, position, capped, cap, first, job.kind, model}
end
if job.run_next then return answer(redis.call('ZRANK', turns, '!' .. job.id), 0, 1) end

local own_line = 'line:' .. job.pool .. ':' .. person.name
local own_score = tonumber(redis.call('ZSCORE', own_line, job.id))
local own_order = own_score - job.rank * RANK

-- Jobs of a line up to a place: by class and order, or by order in each class. An exclusive limit.
local function count_before(line, rank, order, classes)
  if room.discipline == 'priority' then return redis.call('ZCOUNT', line, '-inf', '(' .. rank * RANK + order) end
  if not classes then return redis.call('ZCOUNT', line, '-inf', '(' .. 2 * RANK + order) end
  local count = 0
  for class = 0, 3 do
    count = count + redis.call('ZCOUNT', line, (class - 0.5) * RANK, '(' .. class * RANK + order)
  end
  return count
end

-- Jobs that the instructor put first start before; they stand in the lines, too, and must not count twice.
local firsts, firsts_of = redis.call('ZRANGE', turns, '-inf', -CAPPED / 2, 'BYSCORE', 'LIMIT', 0, SAMPLE), {}
local index = count_before(own_line, job.rank, own_order, person.classes)
for _, member in ipairs(firsts) do
  local first = read_job(string.sub(member, 2))
  firsts_of[first.participant] = (firsts_of[first.participant] or 0) + 1
  if first.participant == person.name then
    local score, by_class = tonumber(redis.call('ZSCORE', own_line, first.id)), room.discipline == 'priority'
    local earlier = by_class and score < own_score or not by_class and score - first.rank * RANK < own_order
    index = earlier and index - 1 or index
  end
end

local own_turn = redis.call('ZRANK', turns, person.name)
local own_turn_score = tonumber(redis.call('ZSCORE', turns, person.name))

-- By arrival (and class): somebody whose next job is later than this one has none before it, except that a
-- participant who is not at his running cap goes before one who is.
local own_key = room.discipline == 'priority' and job.rank * RANK + job.arrival or job.arrival
local function count_earlier(name, turn)
  if index == 0 and turn > own_turn_score or index > 0 and turn % CAPPED > own_key then return 0 end
  local count = count_before('line:' .. job.pool .. ':' .. name, job.rank, job.arrival, true) - (firsts_of[name] or 0)
  return index == 0 and not firsts_of[name] and math.max(1, count) or count
end

local people, others = redis.call('ZRANGE', turns, #firsts, #firsts + SAMPLE, 'WITHSCORES'), 0
local counted, place = 0, #firsts - 1
for i = 1, #people, 2 do
  local name, ahead = people[i], 0
  place = place + 1
  if name ~= person.name then
    if room.discipline == 'round_robin' then
      local waiting = redis.call('ZCARD', 'line:' .. job.pool .. ':' .. name) - (firsts_of[name] or 0)
      ahead = math.max(0, math.min(waiting, place < own_turn and index + 1 or index))
    else
      ahead = count_earlier(name, tonumber(people[i + 1]))
    end
    others, counted = others + math.max(0, ahead), counted + 1
  end
end
local all_others = redis.call('ZCARD', turns) - #firsts - 1
if counted > 0 and all_others > counted then others = math.floor(others / counted * all_others + 0.5) end

local capped = is_capped(room, person) and #people > 0 and tonumber(people[2]) < CAPPED / 2
return answer(#firsts + index + others, capped and 1 or 0, 0)
