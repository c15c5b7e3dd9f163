"""What must hold between the keys of the queue at any moment, whatever happened before."""

from typing import Any

RANK = 1e12


def broken_invariants(client: Any) -> list[str]:
    """One line for each contradiction between records, lines, turns, leases and counters."""
    jobs = {key.removeprefix("job:"): client.hgetall(key) for key in client.scan_iter("job:*", count=1000)}
    return [
        *_check_lines(client, jobs),
        *_check_leases(client, jobs),
        *_check_indexes(client, jobs),
        *_check_counters(client, jobs),
        *_check_turns(client),
    ]


Jobs = dict[str, dict[str, str]]


def _check_lines(client: Any, jobs: Jobs) -> list[str]:
    found = {}
    for key in client.scan_iter("line:*", count=1000):
        _, pool, owner = key.split(":")
        for job_id, score in client.zrange(key, 0, -1, withscores=True):
            found[job_id] = (pool, owner, str(round(score / RANK)))
    wanted = {i: (j["pool"], j["participant"], j["rank"]) for i, j in jobs.items() if j["state"] == "queued"}
    lost = [f"queued {i} {j} is in no line" for i, j in wanted.items() if i not in found]
    wrong = [
        f"line entry {i} {place}, record says {wanted.get(i)}" for i, place in found.items() if wanted.get(i) != place
    ]
    bodies = [f"{i} has no workflow" for i in wanted if not client.exists(f"workflow:{i}")]
    return lost + wrong + bodies


def _check_leases(client: Any, jobs: Jobs) -> list[str]:
    leased, running = set(client.zrange("leases", 0, -1)), {i for i, j in jobs.items() if j["state"] == "running"}
    tokens = [f"running {i} has no token" for i in running if not jobs[i].get("token")]
    return tokens + [f"leases and running jobs differ by {i}" for i in leased ^ running]


def _check_indexes(client: Any, jobs: Jobs) -> list[str]:
    live = {i for i, j in jobs.items() if j["state"] in ("queued", "running")}
    complaints = [f"index live differs by {i}" for i in live ^ set(client.zrange("live", 0, -1))]
    ended = {f"{j['participant']}:{i}" for i, j in jobs.items() if i not in live}
    complaints += [f"index ended differs by {i}" for i in ended ^ set(client.zrange("ended", 0, -1))]
    for name in {j["participant"] for j in jobs.values()}:
        own = {i for i, j in jobs.items() if j["participant"] == name}
        complaints += [f"live:{name} differs by {i}" for i in (own & live) ^ set(client.zrange(f"live:{name}", 0, -1))]
        complaints += [
            f"ended:{name} differs by {i}" for i in (own - live) ^ set(client.zrange(f"ended:{name}", 0, -1))
        ]
    return complaints


def _check_counters(client: Any, jobs: Jobs) -> list[str]:
    complaints = []
    for key in client.scan_iter("person:*", count=1000):
        person, name = client.hgetall(key), key.removeprefix("person:")
        own = [j for j in jobs.values() if j["participant"] == name]
        for state, field in (("queued", "waiting"), ("running", "running")):
            count = sum(j["state"] == state for j in own)
            if int(person.get(field, 0)) != count:
                complaints.append(f"{name}: {field} is {person.get(field)}, {count} are {state}")
        pools = {j["pool"] for j in own if j["state"] == "queued"}
        if set(person.get("pools", "").split()) != pools:
            complaints.append(f"{name}: pools are {person.get('pools')!r}, jobs wait in {pools}")
    return complaints


def _check_turns(client: Any) -> list[str]:
    lines = {tuple(key.split(":")[1:]) for key in client.scan_iter("line:*", count=1000)}
    turns = set()
    complaints = []
    for key in client.scan_iter("turns:*", count=1000):
        pool = key.removeprefix("turns:")
        if not client.sismember("pools", pool):
            complaints.append(f"pool {pool} is not in pools")
        for member in client.zrange(key, 0, -1):
            if not member.startswith("!"):
                turns.add((pool, member))
            elif client.hget(f"job:{member[1:]}", "run_next") != "1":
                complaints.append(f"{member} has a turn of its own and is not to run next")
    return complaints + [f"turns and lines differ by {pair}" for pair in turns ^ lines]
