-- One step of a fenced counter in Redis. The comparison and the write are one script,
-- and Redis runs one script at a time.
--
--   redis-cli --eval fenced.lua counter counter:fence , "$SELFWARE_FENCE"
--
-- gives the new count, or the error FENCED if a newer life has counted. Tokens are
-- texts of one width, so < compares them as it should.
local newest = redis.call('GET', KEYS[2])
if string.len(ARGV[1]) ~= 25 then
  return redis.error_reply('FENCED that is no token')
end
if newest and ARGV[1] < newest then
  return redis.error_reply('FENCED a newer life has taken over, with ' .. newest)
end
redis.call('SET', KEYS[2], ARGV[1])
return redis.call('INCR', KEYS[1])
