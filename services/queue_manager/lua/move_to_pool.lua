#!lua flags=allow-oom
-- move_to_pool: let a waiting job wait in another pool, at the same place of its owner's line.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id    ARGV[7]  pool
--
-- Returns  1 done | 0 it does not wait (any more)
-- include jobs
local job = read_job(ARGV[6])
if not job or job.state ~= 'queued' then return 0 end
if job.pool == ARGV[7] then return 1 end
local room, person = read_room(), read_person(job.participant)
local order = tonumber(redis.call('ZSCORE', 'line:' .. job.pool .. ':' .. person.name, job.id)) - job.rank * RANK
local first = job.run_next and redis.call('ZSCORE', 'turns:' .. job.pool, '!' .. job.id)
take_from_line(person, job)
job.pool = ARGV[7]
redis.call('HSET', 'job:' .. job.id, 'pool', job.pool)
add_to_line(person, job, order)
if first then redis.call('ZADD', 'turns:' .. job.pool, first, '!' .. job.id) end
refresh_turns(room, person)
write_person(person)
ring(job.pool)
return 1
