-- Claims a probe's permit at a backend's breaker, atomically for all function instances: the law of breaker.ts.
--
-- KEYS  1 the breaker
-- ARGV  1 id of the caller, 2 lease of the permit in ms, 3 number of probes, 4 ms for which an idle breaker is kept
-- Reply 'closed' where no permit is needed any more, 'permit' or 'refused'; then the status before and after
local known = redis.call('HMGET', KEYS[1], 'status', 'until', 'window', 'permits', 'forced')
local status = known[1]
if status ~= 'open' and status ~= 'half_open' then
  return { 'closed', 'closed', 'closed' }
end
if status == 'open' and now < tonumber(known[2]) then
  return { 'refused', 'open', 'open' }
end

local window, permits, in_progress = '', '', 0
if status == 'half_open' then
  window = known[3]
  for id, expires_at in string.gmatch(known[4], '([^:;]+):([^;]+);') do
    if tonumber(expires_at) > now then
      permits = permits .. id .. ':' .. expires_at .. ';'
      in_progress = in_progress + 1
    end
  end
end

local answer = 'refused'
if in_progress + #window < tonumber(ARGV[3]) then
  permits = permits .. ARGV[1] .. ':' .. string.format('%.6f', now + tonumber(ARGV[2])) .. ';'
  answer = 'permit'
end
redis.call('HSET', KEYS[1], 'status', 'half_open', 'until', '0', 'window', window, 'permits', permits)
if text(known[5], '') == '' then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return { answer, status, 'half_open' }
