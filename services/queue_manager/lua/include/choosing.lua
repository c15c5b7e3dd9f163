-- choosing: which job is next, in every discipline, over several pools, with jobs that the instructor put first.
-- include people
-- include affinity
local function choose(first_pool)
  local room, turn, score, pool = read_room(), nil, nil, nil
  for i = first_pool, #ARGV do
    local first = redis.call('ZRANGE', 'turns:' .. ARGV[i], 0, 0, 'WITHSCORES')
    if first[1] and (not turn or tonumber(first[2]) < score) then
      turn, score, pool = first[1], tonumber(first[2]), ARGV[i]
    end
  end
  if not turn then return nil end

  local id, job, person
  if string.byte(turn) == 33 then  -- "!<id>": a job that the instructor put first
    redis.call('ZREM', 'turns:' .. pool, turn)
    id = string.sub(turn, 2)
    redis.call('HSET', 'job:' .. id, 'run_next', '0')
    job, person = read_waiting(id), read_person(redis.call('HGET', 'job:' .. id, 'participant'))
  else
    person = read_person(turn)
    id = line_head('line:' .. pool .. ':' .. turn, person, room.discipline == 'priority')
    job = read_waiting(id)
    if ARGV[7] ~= '' and job[3] ~= ARGV[7] and room.discipline == 'round_robin' and score < CAPPED / 2 then
      id, job, person = prefer_loaded(pool, id, job, person, ARGV[7])
    end
  end

  redis.call('ZREM', 'line:' .. pool .. ':' .. person.name, id)
  person.waiting, person.running = person.waiting - 1, person.running + 1
  person.served = redis.call('HINCRBY', 'queue', 'served', 1)
  refresh_turns(room, person)
  write_person(person)
  return id, person.name, job
end
