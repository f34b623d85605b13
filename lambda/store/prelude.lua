-- Begins each script: reads keys and arguments in order, and the server's clock.
local keys_read, args_read = 0, 0
local function next_key()
  keys_read = keys_read + 1
  return KEYS[keys_read]
end
local function next_arg()
  args_read = args_read + 1
  return ARGV[args_read]
end
local function next_number()
  return tonumber(next_arg())
end
local function has(flags, flag)
  return string.find(flags, flag, 1, true) ~= nil
end

-- What is stored is text, and what is not there is false.
local function text(value, otherwise)
  return type(value) == 'string' and value or otherwise
end
local function number(value, otherwise)
  return type(value) == 'string' and tonumber(value) or otherwise
end

local time = redis.call('TIME')
local now = time[1] * 1000.0 + time[2] / 1000.0
