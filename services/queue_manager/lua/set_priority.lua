#!lua
-- set_priority: change the class of a waiting job.
--
-- ARGV[1..5]  see include/room    ARGV[6]  job id    ARGV[7]  rank of the class, 0..3    ARGV[8]  its name
--
-- Returns  1 done | 0 it does not wait | -1 no such job
-- include jobs
local job = read_job(ARGV[6])
if not job then return -1 end
if job.state ~= 'queued' then return 0 end
local room, person, line = read_room(), read_person(job.participant), 'line:' .. job.pool .. ':' .. job.participant
local rank = tonumber(ARGV[7])
local order = tonumber(redis.call('ZSCORE', line, job.id)) - job.rank * RANK
redis.call('HSET', 'job:' .. job.id, 'rank', rank)
redis.call('ZADD', line, rank * RANK + order, job.id)
person.classes = person.classes or rank ~= 2
refresh_turn(room, person, job.pool)
write_person(person)
tell(person.name, 'job.updated', job.id, '{"priority":"' .. ARGV[8] .. '"}')
return 1
