-- Keeps values of features as far as they are newer than those that are kept, or of another source.
-- KEYS[1]  the entity's hash
-- ARGV[1]  milliseconds that what comes in is kept
-- ARGV[2…] for each feature: its name, what orders the value, the source's version, and all of it as it is kept
local key = KEYS[1]
local written = false
for i = 2, #ARGV, 4 do
  local field, order, source, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local kept = redis.call('hget', key, field)
  local kept_order, kept_source
  if kept then
    kept_order, kept_source = string.match(kept, '^([^|]*|[^|]*)|([^|]*)|')
  end
  if kept_source ~= source or order > kept_order then
    redis.call('hset', key, field, value)
    written = true
  end
end
-- The entity stays as long as the value that lives longest.
if written and redis.call('pttl', key) < tonumber(ARGV[1]) then
  redis.call('pexpire', key, ARGV[1])
end
return written and 1 or 0
