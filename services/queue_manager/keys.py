"""Every key in Redis: its name, type, expiry and meaning. Nobody else spells a key.

The scripts spell the same names (a test compares them with the inventory below): which participant's line a claim takes
from is known only while the script runs, so keys cannot be handed in from outside.
"""

from dataclasses import dataclass

QUEUE = "queue"
LIVE = "live"
ENDED = "ended"
LEASES = "leases"
POOLS = "pools"
PEOPLE = "people"
UNARCHIVED = "unarchived"
ROOM_EVENTS = "room-events"
CATALOGUE_WORKERS = "catalogue-workers"
CATALOGUE_AWAITED = "catalogue-awaited"
CATALOGUE_VERSION = "catalogue-version"
EXTENSIONS = "extensions"
FIT_POOLS = "fit-pools"
CREDENTIALS = "credentials"
CREDENTIAL_FILES = "credential-files"
WORKERS = "workers"
WORKERS_SEEN = "workers-seen"
WORKERS_DOING = "workers-doing"
CREDENTIAL_NOTES = "credential-notes"
"""Pub/sub channel: `changed <nonce> <role> <name>`, and `taken <nonce>` from each process that has taken it over."""
PREVIEWS = "previews"
"""Pub/sub channel: `<participant>`, a zero byte, the job's UUID (16 bytes), ComfyUI's binary frame."""
BELL = "bell"
"""Pub/sub channel: the pool in which a job may be leased."""
STOPS = "stops"
"""Pub/sub channel: the running job that its worker shall stop."""

ARRIVED_MS = 60_000
SUBMIT_MS = 24 * 3600 * 1000


def job(job_id: str) -> str:
    """The record of a job."""
    return f"job:{job_id}"


def workflow(job_id: str) -> str:
    """The raw workflow of a job."""
    return f"workflow:{job_id}"


def arrived(nonce: str) -> str:
    """A workflow that was sent in, until the enqueue script gives it to its job."""
    return f"arrived:{nonce}"


def person(name: str) -> str:
    """A participant's counters."""
    return f"person:{name}"


def live(name: str) -> str:
    """A participant's waiting and running jobs."""
    return f"live:{name}"


def ended(name: str) -> str:
    """A participant's ended jobs."""
    return f"ended:{name}"


def line(pool: str, name: str) -> str:
    """A participant's waiting jobs in one pool."""
    return f"line:{pool}:{name}"


def turns(pool: str) -> str:
    """Who is next in a pool."""
    return f"turns:{pool}"


def events(name: str) -> str:
    """A participant's event stream."""
    return f"events:{name}"


def event_wake(process: str) -> str:
    """Wakes one process's reader of events."""
    return f"event-wake:{process}"


def inputs(name: str) -> str:
    """A participant's uploads by name."""
    return f"inputs:{name}"


def runs(pool: str, kind: str) -> str:
    """The last run times of a kind of job; kind "" is all kinds of the pool together."""
    return f"runs:{pool}:{kind}"


def cold_runs(pool: str, kind: str) -> str:
    """The same for runs that had to load their models first."""
    return f"cold-runs:{pool}:{kind}"


@dataclass(frozen=True)
class KeySpec:
    """One kind of key. `expires` is None for keys that stay; `goes` says what removes them then."""

    pattern: str
    type: str
    expires: str | None
    goes: str
    holds: str


INVENTORY: tuple[KeySpec, ...] = (
    KeySpec("queue", "hash", None, "one key", "the room's settings and counters"),
    KeySpec("live", "zset", None, "a job's end removes its entry", "waiting and running jobs by arrival"),
    KeySpec("ended", "zset", None, "forget removes the entry", "participant:job of ended jobs by arrival"),
    KeySpec("leases", "zset", None, "a job's end or return removes its entry", "running jobs by expiry of the lease"),
    KeySpec("pools", "set", None, "set_room removes empty pools", "pools in which somebody waited"),
    KeySpec("people", "set", None, "leave removes the entry", "everybody who has a person key"),
    KeySpec("unarchived", "set", None, "archiving or forget removes the entry", "ended jobs with bodies in Redis"),
    KeySpec("room-events", "stream", "job retention after the last event", "", "what happened to the room"),
    KeySpec("catalogue-workers", "hash", None, "one entry per worker, until 24 h absent", "what each worker offers"),
    KeySpec("catalogue-awaited", "hash", "1 h", "", "workers whose catalogue was asked for"),
    KeySpec("catalogue-version", "string", None, "one key", "counts the changes of what is offered"),
    KeySpec("extensions", "hash", None, "goes when the worker's catalogue is forgotten", "worker -> page files"),
    KeySpec("fit-pools", "hash", None, "repool removes empty pools", "which worker profiles a pool stands for"),
    KeySpec("credentials", "hash", None, "the operator removes a credential", "role:name -> SHA-256 of the token"),
    KeySpec("credential-files", "hash", None, "goes with the file", "role:name -> SHA-256 taken from a file"),
    KeySpec("workers", "hash", None, "leaving, or a day of silence, removes the entry", "worker -> what it registered"),
    KeySpec("workers-seen", "hash", None, "goes with the entry in workers", "worker -> when it was last heard of"),
    KeySpec("workers-doing", "hash", None, "goes with the entry in workers", "worker -> job and models it last took"),
    KeySpec("job:*", "hash", "job retention after its end", "", "the record of a job"),
    KeySpec("workflow:*", "string", "job retention after its end", "", "workflow and extra_data, as sent"),
    KeySpec("arrived:*", "string", "60 s", "", "a workflow on its way in"),
    KeySpec("submit:*", "string", "24 h", "", "idempotency key -> job"),
    KeySpec("person:*", "hash", None, "leave", "a participant's counters, caps and service mark"),
    KeySpec("live:*", "zset", None, "a job's end removes its entry", "a participant's waiting and running jobs"),
    KeySpec("ended:*", "zset", None, "forget removes the entry", "a participant's ended jobs"),
    KeySpec("line:*", "zset", None, "a lease or cancel removes the entry", "a participant's waiting jobs in a pool"),
    KeySpec("turns:*", "zset", None, "goes when nobody waits", "participants who wait in a pool, next one first"),
    KeySpec("events:*", "stream", "job retention after the last event", "", "what happened to a participant's jobs"),
    KeySpec("event-wake:*", "stream", "60 s", "", "wakes a reader of events when more streams are wanted"),
    KeySpec("inputs:*", "hash", None, "the owner deletes his files", "a participant's uploads: name -> digest, size"),
    KeySpec("runs:*", "list", "job retention after the last run", "", "the last 20 run times of a kind, ms"),
    KeySpec("cold-runs:*", "list", "job retention after the last run", "", "the same, models loaded first"),
)
"""Key-leak checks compare what is in Redis with this list."""
