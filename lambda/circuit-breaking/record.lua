-- Records the outcome of a call at a backend's breaker: the law of breaker.ts.
--
-- KEYS  1 the breaker
-- ARGV  1 id of the caller, 2 letter of the outcome (s success, f failure, l slow, b slow failure, i ignored),
--       3 size of the window, 4 minimum of calls, 5 failure rate, 6 slow rate, 7 ms that it stays open,
--       8 number of probes, 9 ms for which an idle breaker is kept
-- Reply status before and after
local time = redis.call('TIME')
local now = time[1] * 1000.0 + time[2] / 1000.0

local known = redis.call('HMGET', KEYS[1], 'status', 'window', 'permits')
local status = type(known[1]) == 'string' and known[1] or 'closed'
if status == 'open' then
  return { 'open', 'open' }
end

local letter = ARGV[2]
local permits, held = '', false
if status == 'half_open' then
  for id, expires_at in string.gmatch(known[3], '([^:;]+):([^;]+);') do
    if id == ARGV[1] then
      held = true
    else
      permits = permits .. id .. ':' .. expires_at .. ';'
    end
  end
  if not held then
    return { status, status }
  end
end

local window = type(known[2]) == 'string' and known[2] or ''
if letter ~= 'i' then
  window = window .. letter
end

local after = status
local function is_failing()
  local _, failures = string.gsub(window, '[fb]', '')
  local _, slow = string.gsub(window, '[lb]', '')
  return failures / #window >= tonumber(ARGV[5]) or slow / #window >= tonumber(ARGV[6])
end
if status == 'closed' then
  if letter == 'i' then
    return { status, status }
  end
  window = string.sub(window, -tonumber(ARGV[3]))
  if #window >= tonumber(ARGV[4]) and is_failing() then
    after = 'open'
  end
elseif letter ~= 'i' and #window >= tonumber(ARGV[8]) then
  after = is_failing() and 'open' or 'closed'
end

local opens_until = '0'
if after == 'open' then
  opens_until = string.format('%.6f', now + tonumber(ARGV[7]))
end
if after ~= status then
  window, permits = '', ''
end
redis.call('HSET', KEYS[1], 'status', after, 'until', opens_until, 'window', window, 'permits', permits)
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return { status, after }
