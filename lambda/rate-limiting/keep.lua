-- Writes a tenant's limits and keeps them until a time at least. For how long they are kept already stands beside them,
-- with some minutes to spare, so that few requests have to set it anew; a shorter life never replaces a longer one.
local KEPT_LONGER_MS = 600000.0

local function keep_limits(key, changes, kept_until, needed_until)
  local is_short = needed_until >= kept_until
  if is_short then
    kept_until = needed_until + KEPT_LONGER_MS
    changes[#changes + 1] = 'kept'
    changes[#changes + 1] = string.format('%.0f', kept_until)
  end
  if #changes > 0 then
    redis.call('HSET', key, unpack(changes))
  end
  if is_short then
    redis.call('PEXPIRE', key, string.format('%.0f', kept_until - now + 1))
  end
end
