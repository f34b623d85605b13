-- Says how much fleets let in at one time (room.ts).
--
-- KEYS  the room of each
-- ARGV  ms for which it holds, tokens of each
local life = next_arg()
for i = 1, #KEYS do
  local key = next_key()
  redis.call('HSET', key, 'tokens', next_arg())
  redis.call('PEXPIRE', key, life)
end
return #KEYS
