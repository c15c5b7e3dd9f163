#!lua flags=allow-oom
-- leave: a participant is gone for good; his counters go when nothing of his waits or runs any more.
--
-- ARGV[1..5]  see include/room    ARGV[6]  participant
--
-- Returns  1
-- include people
local person = read_person(ARGV[6])
person.left = true
write_person(person)
return 1
