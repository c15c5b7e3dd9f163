#!lua flags=allow-oom
-- set_caps: give one participant caps of his own.
--
-- ARGV[1..5]  see include/room    ARGV[6]  participant    ARGV[7..]  waiting_cap|running_cap, value ...
--
-- Returns  1
-- include people
redis.call('HSET', 'person:' .. ARGV[6], unpack(ARGV, 7))
redis.call('SADD', 'people', ARGV[6])
local person = read_person(ARGV[6])
refresh_turns(read_room(), person)
write_person(person)
return 1
