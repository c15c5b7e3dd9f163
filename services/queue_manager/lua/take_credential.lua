#!lua flags=allow-oom
-- take_credential: a file of the credentials folder was added, changed or removed; only one process carries it out.
--
-- ARGV[1..5]  see include/room    ARGV[6]  role:name    ARGV[7]  SHA-256 that was taken from the file before, or ""
-- ARGV[8]  SHA-256 that is in it now, or "" when it is gone    ARGV[9]  the credential's record, "" when it is gone
--
-- Returns  1 done | 0 another process was faster
if (redis.call('HGET', 'credential-files', ARGV[6]) or '') ~= ARGV[7] then return 0 end
if ARGV[8] == '' then
  redis.call('HDEL', 'credential-files', ARGV[6])
  redis.call('HDEL', 'credentials', ARGV[6])
else
  redis.call('HSET', 'credential-files', ARGV[6], ARGV[8])
  redis.call('HSET', 'credentials', ARGV[6], ARGV[9])
end
return 1
