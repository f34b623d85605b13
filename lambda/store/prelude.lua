-- Begins each script: reads keys and arguments in order, and the server's clock. All numbers are kept as floats: the
-- embedded store's integers are 32 bits wide.
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
  return tonumber(next_arg()) * 1.0
end
local function has(flags, flag)
  return string.find(flags, flag, 1, true) ~= nil
end

-- What is not there comes as whatever stands for nothing in the store at hand, and as no string.
local function text(value, otherwise)
  return type(value) == 'string' and value or otherwise
end
local function number(value, otherwise)
  return type(value) == 'string' and tonumber(value) * 1.0 or otherwise
end

local time = redis.call('TIME')
local now = time[1] * 1000.0 + time[2] / 1000.0
