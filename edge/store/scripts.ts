// The Lua that Redis runs: each script is one atomic step, so no reader can come between its commands.
// Chunk keys are derived here and not declared, which needs Upstash's default whole-database lock and no Redis Cluster.

/** Chunks of the value held now live on for readers that have its record but not yet its chunks. */
const SUPERSEDE = `
local function supersede(record, chunks, linger)
  local version, count = string.match(redis.call('GETRANGE', record, 0, 99), '^#([^:]+):(%d+)')
  for i = 0, tonumber(count or 0) - 1 do redis.call('PEXPIRE', chunks .. version .. ':' .. i, linger) end
end`

/**
 * KEYS: version, record. ARGV: expected version ('*' any, '' none), new version, record, ttl in ms (0: for ever),
 * prefix of chunk keys, number of chunks, linger in ms. Returns 1 written, 0 refused, -1 a chunk has lapsed.
 */
export const WRITE = `${SUPERSEDE}
local expected, version, record, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local chunks, count, linger = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local held = redis.call('GET', KEYS[1]) or ''
if expected ~= '*' and expected ~= held then return 0 end
for i = 0, count - 1 do
  if redis.call('EXISTS', chunks .. version .. ':' .. i) == 0 then return -1 end
end
for i = 0, count - 1 do
  local chunk = chunks .. version .. ':' .. i
  if ttl > 0 then redis.call('PEXPIRE', chunk, ttl + linger) else redis.call('PERSIST', chunk) end
end
supersede(KEYS[2], chunks, linger)
if ttl > 0 then
  redis.call('SET', KEYS[1], version, 'PX', ttl)
  redis.call('SET', KEYS[2], record, 'PX', ttl)
else
  redis.call('SET', KEYS[1], version)
  redis.call('SET', KEYS[2], record)
end
return 1`

/** KEYS: version, record, counter. ARGV: prefix of chunk keys, linger in ms. */
export const REMOVE = `${SUPERSEDE}
supersede(KEYS[2], ARGV[1], tonumber(ARGV[2]))
return redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])`

/** KEYS: counter. ARGV: increment, ttl in ms. Returns the new count. */
export const ADD = `
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count`
