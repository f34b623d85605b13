-- A backend's breaker, shared by all function instances: the law of breaker.ts and outcome-window.ts.

local RENEWED_MS = 3600000.0

local function passage(status, opens_until, cooldown, forced, forced_until)
  if text(forced, '') ~= '' and (text(forced_until, '') == '' or tonumber(forced_until) > now) then
    return forced == 'closed' and 'free' or 'blocked'
  end
  if number(cooldown, 0) > now then
    return 'cooling'
  end
  if status ~= 'open' and status ~= 'half_open' then
    return 'free'
  end
  return (status == 'open' and now < number(opens_until, 0)) and 'blocked' or 'claim'
end

-- Calls, failures and slow ones of a window of letters.
local function tally_letters(window)
  local _, failures = string.gsub(window, '[fb]', '')
  local _, slow = string.gsub(window, '[lb]', '')
  return #window, failures, slow
end

-- Adds a call to a window of time steps, drops the steps that have passed, and tallies the rest.
local function push_step(window, letter, seconds)
  local step_ms = math.max(1000.0, seconds * 1000.0 / 60)
  local current = math.floor(now / step_ms)
  local oldest = current - math.ceil(seconds * 1000.0 / step_ms)
  local failed = (letter == 'f' or letter == 'b') and 1 or 0
  local late = (letter == 'l' or letter == 'b') and 1 or 0
  local kept, calls, failures, slow, added = '', 0, 0, 0, false
  for step, c, f, s in string.gmatch(window, '([^:;]+):([^:;]+):([^:;]+):([^:;]+);') do
    if tonumber(step) > oldest then
      if tonumber(step) == current then
        c, f, s, added = c + 1, f + failed, s + late, true
      end
      kept = kept .. string.format('%s:%.0f:%.0f:%.0f;', step, c, f, s)
      calls, failures, slow = calls + c, failures + f, slow + s
    end
  end
  if not added then
    kept = kept .. string.format('%.0f:1:%.0f:%.0f;', current, failed, late)
    calls, failures, slow = calls + 1, failures + failed, slow + late
  end
  return kept, calls, failures, slow
end

-- Records the outcome of a call and returns the status before and after, and when an open breaker lets probes through. `rules` in the order of the arguments: kind
-- and size of the window, minimum of calls, failure rate, slow rate, ms that it stays open, and at most, probes, ms for
-- which an idle breaker is kept.
local function record_outcome(key, id, letter, cooldown_ms, rules)
  local known = redis.call('HMGET', key, 'status', 'window', 'permits', 'reopened', 'cooldown', 'forced', 'kept')
  local status = text(known[1], 'closed')
  -- A breaker that nobody calls is forgotten, but no operator's order before its end. Its life is renewed every hour.
  local kept_until = number(known[7], 0)
  local is_short = text(known[6], '') == '' and kept_until < now + rules.life - RENEWED_MS
  kept_until = is_short and now + rules.life or kept_until
  local function keep()
    if is_short then
      redis.call('PEXPIRE', key, string.format('%.0f', rules.life))
    end
  end
  if cooldown_ms > 0 then
    local ends = math.max(now + cooldown_ms, number(known[5], 0))
    redis.call('HSET', key, 'cooldown', string.format('%.6f', ends), 'kept', string.format('%.0f', kept_until))
    keep()
  end
  if status == 'open' then
    return status, status, '0'
  end

  local permits, held = '', false
  if status == 'half_open' then
    for holder, expires_at in string.gmatch(text(known[3], ''), '([^:;]+):([^;]+);') do
      if holder == id then
        held = true
      else
        permits = permits .. holder .. ':' .. expires_at .. ';'
      end
    end
    if not held then
      return status, status, '0'
    end
  elseif letter == 'i' then
    return status, status, '0'
  end

  local window = text(known[2], '')
  local reopened = number(known[4], 0)
  local after = status
  local function is_failing(calls, failures, slow)
    return failures / calls >= rules.failure_rate or slow / calls >= rules.slow_rate
  end
  if status == 'half_open' then
    if letter ~= 'i' then
      window = window .. letter
      if #window >= rules.probes then
        after = is_failing(tally_letters(window)) and 'open' or 'closed'
      end
    end
  else
    local calls, failures, slow
    if rules.kind == 'time' then
      window, calls, failures, slow = push_step(window, letter, rules.size)
    else
      window = string.sub(window .. letter, -rules.size)
      calls, failures, slow = tally_letters(window)
    end
    if calls >= rules.minimum_calls and is_failing(calls, failures, slow) then
      after = 'open'
    end
  end

  local opens_until = '0'
  if after == 'open' then
    reopened = status == 'half_open' and reopened + 1 or 0
    opens_until = string.format('%.6f', now + math.min(rules.open_ms * 2.0 ^ reopened, rules.max_open_ms))
  elseif after ~= status then
    reopened = 0
  end
  if after ~= status then
    window, permits = '', ''
  end
  redis.call(
    'HSET', key,
    'status', after,
    'until', opens_until,
    'window', window,
    'permits', permits,
    'reopened', string.format('%.0f', reopened),
    'kept', string.format('%.0f', kept_until)
  )
  keep()
  return status, after, opens_until
end
