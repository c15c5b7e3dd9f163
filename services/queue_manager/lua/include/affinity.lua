-- affinity: prefer a job whose models the worker has loaded, without making anybody wait much longer.
--
-- Of the first four turns, the first one whose next job fits is taken, unless one of those it would overtake has been
-- overtaken often enough since he was served last. With n people waiting a turn takes n - 1 starts, and at most
-- 30 % of that may be added: the longest wait grows by no more than 1.3 (scheduler.overtaking_limit says the same).
-- include people
local LOOK_AHEAD = 4

-- Number, attempt, model, spec: what a claim needs of a job.
local function read_waiting(id) return redis.call('HMGET', 'job:' .. id, 'number', 'attempt', 'model', 'spec') end

local function prefer_loaded(pool, first_id, first_job, first_person, model)
  local limit = math.floor(0.3 * (redis.call('ZCARD', 'turns:' .. pool) - 1))
  if limit < 1 then return first_id, first_job, first_person end
  local turns = redis.call('ZRANGE', 'turns:' .. pool, 0, LOOK_AHEAD - 1, 'WITHSCORES')
  local overtaken = {}
  for i = 1, #turns, 2 do
    if tonumber(turns[i + 1]) >= CAPPED / 2 then break end
    local person = i == 1 and first_person or read_person(turns[i])
    local id = i == 1 and first_id or line_head('line:' .. pool .. ':' .. person.name, person, false)
    local job = i == 1 and first_job or read_waiting(id)
    if job[3] == model then
      for name, times in pairs(overtaken) do redis.call('HSET', 'person:' .. name, 'overtaken', times) end
      return id, job, person
    end
    -- "mark:times": how often he was overtaken since the service with that mark.
    local mark, times = string.match(redis.call('HGET', 'person:' .. person.name, 'overtaken') or '', '(%d+):(%d+)')
    times = tonumber(mark) == person.served and tonumber(times) or 0
    if times >= limit then break end
    overtaken[person.name] = string.format('%.0f:%d', person.served, times + 1)
  end
  return first_id, first_job, first_person
end
