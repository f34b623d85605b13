-- Reads a backend's breaker for an operator, and first makes it do as it is told: admission goes by the fields `forced`
-- and `forced_until`.
--
-- KEYS  1 the breaker
-- ARGV  1 'open' or 'closed', 'none' to withdraw that, or '' to read only; 2 ms for which it holds, or '' for until it is
--       withdrawn; 3 ms for which an idle breaker is kept
-- Reply the time, then status, end of its open state, window, end of the cool-down; forced and its end; and these two as
--       they were before. '' for what is not set.
local known = redis.call('HMGET', KEYS[1], 'status', 'until', 'window', 'cooldown', 'forced', 'forced_until')
local before, before_until = text(known[5], ''), text(known[6], '')

local forced, forced_until = before, before_until
if ARGV[1] ~= '' then
  forced = ARGV[1] == 'none' and '' or ARGV[1]
  forced_until = ''
  if forced ~= '' and ARGV[2] ~= '' then
    forced_until = string.format('%.0f', now + tonumber(ARGV[2]))
  end
  redis.call('HSET', KEYS[1], 'forced', forced, 'forced_until', forced_until, 'kept', '0')
  -- A breaker that nobody calls is forgotten, but no order before its end.
  if forced ~= '' and forced_until == '' then
    redis.call('PERSIST', KEYS[1])
  else
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[3]) + (tonumber(ARGV[2]) or 0)))
  end
end

return {
  string.format('%.6f', now),
  text(known[1], ''), text(known[2], ''), text(known[3], ''), text(known[4], ''),
  forced, forced_until,
  before, before_until,
}
