-- room: the settings of the room, and the arguments that every script takes first.
--
-- ARGV[1]  now, unix milliseconds       ARGV[4]  how long ended jobs are kept, milliseconds
-- ARGV[2]  default waiting cap          ARGV[5]  length of a participant's event stream
-- ARGV[3]  default running cap
local NOW, KEEP, EVENTS = tonumber(ARGV[1]), ARGV[4], ARGV[5]

-- Scores are plain numbers below 2^53, so that sorted sets compare them exactly.
local RANK = 1e12    -- one priority class; arrival numbers and service marks stay below it
local CAPPED = 1e13  -- added to the turn of a participant who is at his running cap: behind everybody else

local function read_room()
  local v = redis.call('HMGET', 'queue', 'discipline', 'paused', 'draining', 'waiting_cap', 'running_cap', 'session')
  return {
    discipline = v[1] or 'round_robin', closed = v[2] == '1' or v[3] == '1',
    waiting_cap = tonumber(v[4] or ARGV[2]), running_cap = tonumber(v[5] or ARGV[3]), session = tonumber(v[6]) or 0,
  }
end

-- What happened, for the owner's viewers. Streams expire with the jobs they tell about.
local function tell(name, what, id, data)
  local stream = 'events:' .. name
  redis.call('XADD', stream, 'MAXLEN', '~', EVENTS, '*', 'type', what, 'job', id, 'at', ARGV[1], 'data', data)
  redis.call('PEXPIRE', stream, KEEP)
end

local function ring(pool) redis.call('PUBLISH', 'bell', pool) end
