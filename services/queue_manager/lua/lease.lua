#!lua flags=allow-oom
-- lease: give the next job to a worker.
--
-- ARGV[1..5]  see include/room    ARGV[6]  worker              ARGV[9]    lease, milliseconds
--                                 ARGV[7]  its loaded model    ARGV[10..] pools it may take from
--                                 ARGV[8]  lease token
--
-- Returns  nil nothing to do | {id, participant, number, attempt, spec}
--
-- The ordinary case (round robin, one pool, one class, no wish for a model) goes straight through with as few calls
-- and values as possible. `choose_carefully` does the same for all cases; its pieces are put together only when needed.
local call = redis.call
local room = call('HMGET', 'queue', 'paused', 'draining', 'discipline', 'running_cap')
if room[1] == '1' or room[2] == '1' then return nil end

local function choose_carefully()
  -- include choosing
  return choose(10)
end

-- The lowest score of the worker's pools; with one pool the scores need not be looked at.
local function first_turn()
  if #ARGV == 10 then return call('ZRANGE', 'turns:' .. ARGV[10], 0, 0)[1], ARGV[10] end
  local turn, pool, score
  for i = 10, #ARGV do
    local first = call('ZRANGE', 'turns:' .. ARGV[i], 0, 0, 'WITHSCORES')
    if first[1] and (not turn or tonumber(first[2]) < score) then
      turn, pool, score = first[1], ARGV[i], tonumber(first[2])
    end
  end
  return turn, pool
end

local function choose_plainly()
  local name, pool = first_turn()
  if not name then return nil end
  local person = call('HMGET', 'person:' .. name, 'waiting', 'running', 'pools', 'classes', 'running_cap')
  if person[3] ~= pool or person[4] == '1' then return choose_carefully() end
  local line = 'line:' .. pool .. ':' .. name
  local first = call('ZPOPMIN', line)
  local id = first[1]
  local job = call('HMGET', 'job:' .. id, 'number', 'attempt', 'model', 'spec')
  if ARGV[7] ~= '' and job[3] ~= ARGV[7] then
    call('ZADD', line, first[2], id)
    return choose_carefully()
  end

  local waiting, running, served = person[1] - 1, person[2] + 1, call('HINCRBY', 'queue', 'served', 1)
  call('HSET', 'person:' .. name, 'waiting', waiting, 'running', running, 'served', served, 'pools',
    waiting > 0 and pool or '')
  if waiting > 0 then  -- all of them in this line, because it is his only pool
    local capped = running >= tonumber(person[5] or room[4] or ARGV[3])
    call('ZADD', 'turns:' .. pool, capped and served + 1e13 or served, name)  -- CAPPED in include/room
  else
    call('ZREM', 'turns:' .. pool, name)
  end
  return id, name, job
end

local id, name, job
if (room[3] or 'round_robin') == 'round_robin' then
  id, name, job = choose_plainly()
else
  id, name, job = choose_carefully()
end
if not id then return nil end

local attempt = job[2] + 1
call('HSET', 'job:' .. id, 'state', 'running', 'worker', ARGV[6], 'token', ARGV[8], 'attempt', attempt, 'started_at',
  ARGV[1], 'cold', job[3] ~= '' and job[3] ~= ARGV[7] and '1' or '0')
call('ZADD', 'leases', ARGV[1] + ARGV[9], id)
call('XADD', 'events:' .. name, 'MAXLEN', '~', ARGV[5], '*', 'type', 'job.running', 'job', id, 'at', ARGV[1], 'data',
  '{"worker":"' .. ARGV[6] .. '","attempt":' .. attempt .. '}')
return {id, name, job[1], attempt, job[4]}
