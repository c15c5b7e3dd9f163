-- keys: the names of the keys the scripts touch. keys.py lists the same ones with type, expiry and meaning.
local QUEUE, LIVE, ENDED, LEASES = 'queue', 'live', 'ended', 'leases'
local POOLS, PEOPLE, UNARCHIVED = 'pools', 'people', 'unarchived'
local function job_key(id) return 'job:' .. id end
local function workflow_key(id) return 'workflow:' .. id end
local function person_key(name) return 'person:' .. name end
local function live_key(name) return 'live:' .. name end
local function ended_key(name) return 'ended:' .. name end
local function line_key(pool, name) return 'line:' .. pool .. ':' .. name end
local function turns_key(pool) return 'turns:' .. pool end
local function events_key(name) return 'events:' .. name end
local function submit_key(name, key) return 'submit:' .. name .. ':' .. key end
local function arrived_key(nonce) return 'arrived:' .. nonce end
local function runs_key(pool, kind) return 'runs:' .. pool .. ':' .. kind end
local function cold_runs_key(pool, kind) return 'cold-runs:' .. pool .. ':' .. kind end
