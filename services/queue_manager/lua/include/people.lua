-- people: a participant's counters, his line in each pool, and his turn among the others.
--
-- A line is a sorted set of waiting job ids, scored class * RANK + order. The order is the arrival number, or a
-- negative one for jobs put at the front. A turn is the participant's entry in the pool's `turns`: the lowest score
-- goes next.
-- include room
local function read_person(name)
  local v = redis.call('HMGET', 'person:' .. name, 'waiting', 'running', 'served', 'pools', 'classes', 'running_cap',
    'waiting_cap', 'number', 'ended_day', 'ended_count', 'left')
  return {
    name = name, waiting = tonumber(v[1]) or 0, running = tonumber(v[2]) or 0, served = tonumber(v[3]) or 0,
    pools = v[4] or '', classes = v[5] == '1', running_cap = tonumber(v[6]), waiting_cap = tonumber(v[7]),
    number = tonumber(v[8]) or 0, ended_day = tonumber(v[9]) or 0, ended_count = tonumber(v[10]) or 0,
    left = v[11] == '1',
  }
end

local function write_person(person)
  if person.left and person.waiting + person.running == 0 then
    redis.call('UNLINK', 'person:' .. person.name)
    redis.call('SREM', 'people', person.name)
    return
  end
  -- `classes` remembers that jobs outside the normal class may wait; a hint that saves the look for them.
  redis.call('HSET', 'person:' .. person.name, 'waiting', person.waiting, 'running', person.running, 'served',
    person.served, 'pools', person.pools, 'classes', person.classes and person.waiting > 0 and '1' or '0', 'number',
    person.number, 'ended_day', person.ended_day, 'ended_count', person.ended_count, 'left', person.left and '1' or '0')
end

local function rank_of(score) return math.floor(score / RANK + 0.5) end
local function is_capped(room, person) return person.running >= (person.running_cap or room.running_cap) end

-- The next job of a line and its score: the first by class and order, or by order alone.
local function line_head(line, person, by_class)
  local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
  local id, score = first[1], tonumber(first[2])
  if not id or by_class or not person.classes then return id, score end
  local rank, order = rank_of(score), score - rank_of(score) * RANK
  while rank < 3 do
    local next_class = redis.call('ZRANGE', line, (rank + 0.5) * RANK, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    if not next_class[1] then break end
    local other = tonumber(next_class[2])
    rank = rank_of(other)
    if other - rank * RANK < order then id, score, order = next_class[1], other, other - rank * RANK end
  end
  return id, score
end

local function turn_score(room, person, id, score)
  local rank, base = rank_of(score), nil
  local order = score - rank * RANK
  if room.discipline == 'round_robin' then
    -- Not served in this session yet: before all who were, by arrival.
    base = person.served > room.session and person.served or order - RANK
  else
    -- A job at the front of its line keeps its own arrival: it overtakes its owner's jobs, nobody else's.
    if order < 0 then order = tonumber(redis.call('HGET', 'job:' .. id, 'arrival')) end
    base = room.discipline == 'fifo' and order or rank * RANK + order
  end
  return is_capped(room, person) and base + CAPPED or base
end

-- Bring a participant's turn in one pool up to date; true while he has jobs waiting there.
local function refresh_turn(room, person, pool)
  local id, score = line_head('line:' .. pool .. ':' .. person.name, person, room.discipline == 'priority')
  if not id then
    redis.call('ZREM', 'turns:' .. pool, person.name)
    return false
  end
  if redis.call('ZADD', 'turns:' .. pool, turn_score(room, person, id, score), person.name) == 1 then
    redis.call('SADD', 'pools', pool)
  end
  return true
end

-- The same in all his pools; forgets the pools where nothing of his waits any more.
local function refresh_turns(room, person)
  local left = {}
  for pool in string.gmatch(person.pools, '%S+') do
    if refresh_turn(room, person, pool) then left[#left + 1] = pool end
  end
  person.pools = table.concat(left, ' ')
end

local function waits_in(person, pool)
  if person.pools == pool then return true end
  for known in string.gmatch(person.pools, '%S+') do if known == pool then return true end end
  return false
end

local function add_pool(person, pool)
  if waits_in(person, pool) then return end
  person.pools = person.pools == '' and pool or person.pools .. ' ' .. pool
end
