-- Prepares the machine in which scripts run: takes away what Redis's Lua 5.1 lacks and what reaches outside, gives what
-- it has and Lua 5.3 lacks, and makes all of it read-only, so that no script leaves anything behind for the next.
--
-- Called with the table of globals and the functions of `redis`; returns the table in which scripts find KEYS and ARGV,
-- and the one in which they look up globals.
local all, redis = ...

local globals, libraries = {}, { redis = redis, string = {}, table = {}, math = {} }
local NAMES = {
  _G = 'assert collectgarbage error getmetatable ipairs load next pairs pcall rawequal rawget select setmetatable '
    .. 'tonumber tostring type xpcall',
  string = 'byte char find format gmatch gsub len lower match rep reverse sub upper',
  table = 'concat insert remove sort',
  math = 'abs acos asin atan ceil cos deg exp floor fmod huge log max min modf pi rad random randomseed sin sqrt tan',
}
for library, names in pairs(NAMES) do
  local from, to = all[library], libraries[library] or globals
  for name in string.gmatch(names, '%w+') do
    to[name] = from[name]
  end
end

globals._VERSION = 'Lua 5.1'
globals.unpack = table.unpack
function globals.tostring(value)
  -- The machine's own writes 5.0 for 5.
  return type(value) == 'number' and value .. '' or tostring(value)
end

-- Of an error of a command, scripts catch the text.
local function told(succeeded, first, ...)
  if not succeeded and type(first) == 'table' and type(first.err) == 'string' then
    first = first.err
  end
  return succeeded, first, ...
end
function globals.pcall(...)
  return told(pcall(...))
end

globals.loadstring = load
function libraries.table.getn(list)
  return #list
end
function libraries.table.maxn(list)
  local most = 0
  for key in pairs(list) do
    most = type(key) == 'number' and key > most and key or most
  end
  return most
end
function libraries.math.pow(base, exponent)
  return base ^ exponent
end
function libraries.math.log10(value)
  return math.log(value, 10)
end
libraries.math.mod = math.fmod
libraries.math.atan2 = math.atan

-- Stands before a table and lets nobody write. The table itself stays out of reach.
local protected = {}
local function protect(contents)
  local guard = {}
  protected[guard] = true
  return setmetatable(guard, {
    __index = contents,
    __newindex = function()
      error('Attempt to modify a readonly table', 2)
    end,
    __pairs = function()
      return next, contents, nil
    end,
    __metatable = false,
  })
end

function globals.rawset(target, key, value)
  if protected[target] then
    error('Attempt to modify a readonly table', 0)
  end
  return rawset(target, key, value)
end

for name, library in pairs(libraries) do
  globals[name] = protect(library)
end
local strings = getmetatable('')
strings.__index = globals.string
strings.__metatable = protect({ __index = globals.string })
setmetatable(globals, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})
globals._G = protect(globals)
return globals, globals._G
