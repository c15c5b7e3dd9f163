#!lua flags=allow-oom
-- set_room: change settings of the room, and bring everybody's turn up to date. The only script whose cost grows with
-- the number of people (never of jobs) who wait: an instructor's switch, some 10 us for each of them.
--
-- ARGV[1..5]  see include/room    ARGV[6]  1 when a new session begins, else 0
-- ARGV[7..]   field, value ... of the room's hash
--
-- Returns  how many turns were brought up to date
-- include people
if #ARGV > 6 then redis.call('HSET', 'queue', unpack(ARGV, 7)) end
if ARGV[6] == '1' then redis.call('HSET', 'queue', 'session', redis.call('HGET', 'queue', 'served') or 0) end
local room, count = read_room(), 0
for _, pool in ipairs(redis.call('SMEMBERS', 'pools')) do
  local turns = redis.call('ZRANGE', 'turns:' .. pool, 0, -1)
  if #turns == 0 then redis.call('SREM', 'pools', pool) end
  for _, name in ipairs(turns) do
    if string.sub(name, 1, 1) ~= '!' then
      refresh_turn(room, read_person(name), pool)
      count = count + 1
    end
  end
  ring(pool)
end
return count
