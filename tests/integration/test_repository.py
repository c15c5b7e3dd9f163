"""The repository beside fairness: submitting once, fencing, pages, estimates, and the end of every trace."""

import asyncio
import json
import uuid

import pytest

from services.domain.errors import Conflict, InvalidInput, LeaseLost, LimitReached, NotFound
from services.domain.job import Discipline, InputFile, JobError, JobState, OutputFile, Priority
from services.kit.redis_connection import RedisConnection
from services.queue_manager import keys
from services.queue_manager.repository import JobRepository
from services.queue_manager.scripts import Limits, Scripts
from tests.support.queue_invariants import broken_invariants
from tests.support.queue_room import LEASE_MS, Room
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

ERROR = JobError(type="ValueError", message="no such sampler", node_id="3", node_type="KSampler")
PICTURE = OutputFile(
    node_id="9", kind="images", type="output", subfolder="", filename="a_00001_.png", size=10, sha256="ab" * 32
)


@pytest.fixture
def room(jobs: JobRepository) -> Room:
    """An empty room."""
    return Room(jobs)


async def state_of(room: Room, job_id: str) -> JobState | None:
    job = await room.jobs.job(job_id)
    return job.state if job else None


async def test_the_record_tells_the_whole_story_of_a_job(room: Room) -> None:
    file = InputFile(name="photo.png", sha256="cd" * 32, size=5)
    (job_id,) = await room.send("a", label="a cat", client_id="browser", inputs=(file,), priority=Priority.HIGH)
    job = await room.jobs.job(job_id)
    assert job is not None
    assert (job.state, job.number, job.label, job.client_id) == (JobState.QUEUED, 1, "a cat", "browser")
    room.now += 500
    lease = await room.jobs.lease("w1", ["any"], "", "token", room.now, LEASE_MS)
    assert lease is not None
    assert (lease[0].inputs, lease[0].expires_at) == ([file], room.now + LEASE_MS)
    room.now += 700
    executed = {"9": {"images": [{"filename": "a_00001_.png"}]}}
    await room.jobs.complete(
        job_id, "token", room.now, outputs=[PICTURE], executed=executed, cached_nodes=["4"], run_ms=700
    )
    job = await room.jobs.job(job_id)
    assert job is not None
    assert (job.state, job.worker, job.attempt, job.priority) == (JobState.SUCCEEDED, "w1", 1, Priority.HIGH)
    assert (job.created_at, job.started_at, job.ended_at) == (1_000_000, 1_000_500, 1_001_200)
    assert (job.outputs, job.executed, job.cached_nodes) == ([PICTURE], executed, ["4"])


async def test_the_same_idempotency_key_makes_one_job_also_when_sent_at_once(room: Room) -> None:
    copies = [room.new_job("a", idempotency_key="again") for _ in range(20)]
    answers = await asyncio.gather(*[room.jobs.enqueue(job, room.now) for job in copies])
    assert len({answer.id for answer in answers}) == 1
    assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 19
    other = await room.jobs.enqueue(room.new_job("b", idempotency_key="again"), room.now)
    assert not other.duplicate
    assert await room.jobs.counts() == (2, 0)


async def test_the_same_id_is_a_duplicate_for_its_owner_and_taken_for_others(
    room: Room, redis_server: RedisServer
) -> None:
    job = room.new_job("a", workflow=b"mine")
    await room.jobs.enqueue(job, room.now)
    again = await room.jobs.enqueue(room.new_job("a", id=job.id, workflow=b"changed"), room.now)
    assert (again.duplicate, again.number) == (True, 1)
    with pytest.raises(Conflict, match="taken by another job"):
        await room.jobs.enqueue(room.new_job("b", id=job.id, workflow=b"foreign"), room.now)
    assert await room.jobs.workflow(job.id) == b"mine"
    with redis_server.client() as client:
        assert client.keys("arrived:*") == []


async def test_a_batch_is_taken_in_as_a_whole_or_not_at_all(room: Room, redis_server: RedisServer) -> None:
    await room.jobs.set_caps(None, 3, None, room.now)
    with pytest.raises(LimitReached, match="4 more cannot"):
        await room.jobs.enqueue_batch([room.new_job("a") for _ in range(4)], room.now)
    assert await room.jobs.counts() == (0, 0)
    with redis_server.client() as client:
        assert client.keys("arrived:*") + client.keys("workflow:*") == []
    known = room.new_job("a")
    await room.jobs.enqueue(known, room.now)
    answers = await room.jobs.enqueue_batch([room.new_job("a"), known, room.new_job("a")], room.now)
    assert [(answer.number, answer.duplicate) for answer in answers] == [(2, False), (1, True), (3, False)]


async def test_a_batch_that_contradicts_itself_is_refused(room: Room) -> None:
    same = str(uuid.uuid4())
    for batch in (
        [],
        [room.new_job("a", id=same), room.new_job("a", id=same)],
        [room.new_job("a"), room.new_job("b")],
        [room.new_job("a", idempotency_key="k"), room.new_job("a", idempotency_key="k")],
    ):
        with pytest.raises(InvalidInput):
            await room.jobs.enqueue_batch(batch, room.now)


async def test_only_the_current_token_may_report(room: Room) -> None:
    (job,) = await room.send("a")
    await room.take()
    first = room.token(job)
    room.now += LEASE_MS + 1
    await room.jobs.reap(room.now)
    await room.take()
    assert room.token(job) != first
    assert await room.jobs.holds_lease(job, room.token(job)) == "a"
    for late in (
        room.jobs.holds_lease(job, first),
        room.jobs.extend_lease(job, first, room.now, LEASE_MS),
        room.jobs.complete(job, first, room.now),
        room.jobs.fail(job, first, room.now, ERROR, False),
        room.jobs.cancelled(job, first, room.now),
        room.jobs.give_back(job, first, room.now, "late"),
        room.jobs.complete(str(uuid.uuid4()), first, room.now),
    ):
        with pytest.raises(LeaseLost):
            await late
    assert await room.finish(job) is JobState.SUCCEEDED


async def test_a_repeated_report_answers_what_was_recorded(room: Room) -> None:
    (job,) = await room.send("a")
    await room.take()
    assert await room.jobs.fail(job, room.token(job), room.now, ERROR, False) is JobState.FAILED
    assert await room.finish(job) is JobState.FAILED
    record = await room.jobs.job(job)
    assert record is not None
    assert record.error == ERROR


async def test_a_retryable_failure_runs_again_and_dies_with_its_reason(room: Room) -> None:
    (job,) = await room.send("a")
    for wanted in (JobState.QUEUED, JobState.QUEUED, JobState.DEAD):
        await room.take()
        assert await room.jobs.fail(job, room.token(job), room.now, ERROR, True) is wanted
    record = await room.jobs.job(job)
    assert record is not None
    assert (record.attempt, record.error) == (3, ERROR)


async def test_a_heartbeat_keeps_the_job_and_a_missing_one_gives_it_back(room: Room) -> None:
    (job,) = await room.send("a")
    await room.take()
    for _ in range(5):
        room.now += LEASE_MS - 1
        await room.jobs.extend_lease(job, room.token(job), room.now, LEASE_MS)
        assert await room.jobs.reap(room.now) == []
    assert await room.jobs.reap(room.now + LEASE_MS) == [job]


async def test_what_cannot_be_done_says_why(room: Room) -> None:
    (waiting, running) = (await room.send("a", 2))[::-1]
    await room.take()
    missing = str(uuid.uuid4())
    for refused in (
        room.jobs.run_next(running, room.now),
        room.jobs.set_priority(running, Priority.HIGH, room.now),
        room.jobs.preempt(waiting, room.now),
        room.jobs.requeue(waiting, room.now),
        room.jobs.delete(waiting),
    ):
        with pytest.raises(Conflict):
            await refused
    for unknown in (
        room.jobs.run_next(missing, room.now),
        room.jobs.set_priority(missing, Priority.HIGH, room.now),
        room.jobs.preempt(missing, room.now),
        room.jobs.requeue(missing, room.now),
        room.jobs.delete(missing),
        room.jobs.cancel(missing, room.now),
    ):
        with pytest.raises(NotFound):
            await unknown
    assert await room.jobs.job(missing) is None
    assert await room.jobs.place(missing, room.now) is None
    assert not await room.jobs.move_to_pool(missing, "any", room.now)


async def test_pages_run_from_new_to_old_and_meet_every_job_once(room: Room) -> None:
    mine = await room.send("a", 25)
    await room.send("b", 5)
    for _ in range(8):
        await room.finish(await room.take() or "")
    await room.take()
    seen: list[str] = []
    cursor = ""
    while True:
        page, following = await room.jobs.jobs_of("a", limit=4, before=cursor)
        seen += [job.id for job in page]
        if following is None:
            break
        cursor = following
    assert seen == mine[::-1]
    everybody, _ = await room.jobs.jobs_of(None, limit=100)
    assert len(everybody) == 30
    running, _ = await room.jobs.jobs_of(None, [JobState.RUNNING], limit=1)
    ended, _ = await room.jobs.jobs_of("a", [JobState.SUCCEEDED, JobState.FAILED])
    assert (len(running), len(ended)) == (1, 4)
    with pytest.raises(InvalidInput, match="before"):
        await room.jobs.jobs_of("a", before="'; drop")


async def test_estimates_come_from_measured_runs_warm_and_cold_apart(room: Room) -> None:
    await room.send("a", 3, kind="flux", model="flux-9b")
    (waiting,) = await room.send("b", 1, kind="flux", model="flux-9b")
    place = await room.jobs.place(waiting, room.now)
    assert place is not None
    assert (place.mean_ms, place.own_ms, place.cold_ms) == (None, None, None)
    await room.finish(await room.take(loaded="") or "", run_ms=60_000)
    await room.jobs.run_next((await room.send("a", 1, kind="flux", model="flux-9b"))[0], room.now)
    await room.finish(await room.take(loaded="flux-9b") or "", run_ms=20_000)
    place = await room.jobs.place(waiting, room.now)
    assert place is not None
    assert (place.mean_ms, place.own_ms, place.cold_ms) == (40_000, 20_000, 60_000)
    assert (place.position, place.model, place.pool) == (0, "flux-9b", "any")


async def test_the_overview_counts_and_the_settings_answer_what_was_set(room: Room) -> None:
    await room.jobs.set_caps(None, 9, 2, room.now)
    await room.jobs.set_caps("b", 3, None, room.now)
    await room.jobs.set_discipline(Discipline.FIFO, room.now)
    await room.send("a", 3)
    await room.send("b", 2)
    await room.finish(await room.take() or "")
    await room.take()
    overview = await room.jobs.overview(room.now)
    assert (overview.settings.discipline, overview.settings.waiting_cap) == (Discipline.FIFO, 9)
    assert (overview.waiting, overview.running) == (3, 1)
    a, b = overview.participants
    assert (a.name, a.waiting, a.running, a.ended_today, a.waiting_cap, a.running_cap) == ("a", 1, 1, 1, 9, 2)
    assert (b.waiting, b.waiting_cap, b.running_cap) == (2, 3, 2)
    tomorrow = await room.jobs.participant_counts("a", room.now + 24 * 3600 * 1000)
    assert tomorrow.ended_today == 0


async def test_a_moved_job_keeps_its_place_and_waits_for_other_workers(room: Room) -> None:
    first, second = await room.send("a", 2, pool="old")
    assert await room.jobs.pools() == ["old"]
    assert await room.jobs.waiting_in_pool("old") == ([first, second], None)
    assert await room.jobs.move_to_pool(second, "new", room.now)
    assert await room.jobs.move_to_pool(first, "new", room.now)
    assert await room.take(("old",)) is None
    assert await room.run_all(pools=("new",)) == ["A1", "A2"]


async def test_a_deleted_job_leaves_nothing_but_its_event(room: Room, redis_server: RedisServer) -> None:
    (job,) = await room.send("a")
    await room.jobs.cancel(job, room.now)
    await room.jobs.delete(job)
    assert await room.jobs.job(job) is None
    assert await room.jobs.jobs_of("a") == ([], None)
    with redis_server.client() as client:
        left = set(client.keys("*"))
    assert left == {"queue", "pools", "people", "person:a", "events:a"}


async def test_ended_jobs_expire_and_what_points_to_them_goes_with_them(
    redis: RedisConnection, redis_server: RedisServer
) -> None:
    room = Room(JobRepository(redis, Scripts(redis, Limits(keep_ended_ms=200))))
    job, waiting = await room.send("a", 2)
    await room.take()
    await room.finish(job)
    assert (await state_of(room, waiting)) is JobState.QUEUED

    async def is_gone() -> bool:
        return await room.jobs.job(job) is None

    await wait_until(is_gone, "the record to expire")
    assert await room.jobs.workflow(job) is None
    assert await room.jobs.forget_ended() == [("a", job)]
    assert await room.jobs.forget_ended() == []
    assert await room.jobs.jobs_of("a", [JobState.SUCCEEDED]) == ([], None)
    assert await state_of(room, waiting) is JobState.QUEUED
    with redis_server.client() as client:
        assert broken_invariants(client) == []


async def test_archived_bodies_leave_redis_and_a_requeue_brings_the_workflow_back(room: Room) -> None:
    (job,) = await room.send("a", workflow=b"the graph")
    await room.take()
    await room.jobs.fail(job, room.token(job), room.now, ERROR, False)
    assert await room.jobs.unarchived() == [("a", job)]
    await room.jobs.archived("a", job)
    assert await room.jobs.unarchived() == []
    assert await room.jobs.workflow(job) is None
    with pytest.raises(Conflict, match="no longer kept"):
        await room.jobs.requeue(job, room.now)
    await room.jobs.requeue(job, room.now, b"the graph")
    assert await room.jobs.workflow(job) == b"the graph"
    record = await room.jobs.job(job)
    assert record is not None
    assert (record.state, record.attempt, record.error, record.ended_at) == (JobState.QUEUED, 0, None, None)
    assert await room.run_all() == ["A1"]


async def test_archiving_a_job_that_was_requeued_meanwhile_takes_nothing_from_it(room: Room) -> None:
    (job,) = await room.send("a", workflow=b"the graph")
    await room.jobs.cancel(job, room.now)
    await room.jobs.requeue(job, room.now)
    await room.jobs.archived("a", job)
    assert await room.jobs.workflow(job) == b"the graph"


async def test_a_participant_who_leaves_takes_his_jobs_and_counters_with_him(
    room: Room, redis_server: RedisServer
) -> None:
    running, waiting = await room.send("a", 2)
    (other,) = await room.send("b")
    await room.take()
    assert set(await room.jobs.forget_participant("a", room.now)) == {running, waiting}
    assert await state_of(room, waiting) is JobState.CANCELLED
    assert await state_of(room, running) is JobState.RUNNING
    await room.jobs.cancelled(running, room.token(running), room.now)
    assert await state_of(room, other) is JobState.QUEUED
    with redis_server.client() as client:
        assert (client.exists("person:a"), client.smembers("people")) == (0, {"b"})
    await room.send("a")
    assert (await room.jobs.participant_counts("a", room.now)).waiting == 1


async def test_every_step_of_a_job_is_an_event_of_its_owner_and_of_nobody_else(
    room: Room, redis_server: RedisServer
) -> None:
    (job,) = await room.send("a")
    await room.jobs.run_next(job, room.now)
    await room.take()
    await room.jobs.preempt(job, room.now)
    await room.jobs.cancelled(job, room.token(job), room.now)
    await room.take()
    await room.jobs.publish_many("a", job, "job.progress", [b'{"message":"progress"}'], room.now)
    await room.jobs.fail(job, room.token(job), room.now, ERROR, False)
    await room.jobs.publish("b", "job.updated", job, {"x": 1}, room.now)
    await room.jobs.publish_to_room("room.paused", {"paused": True}, room.now)
    with redis_server.client() as client:
        entries = [fields for _, fields in client.xrange(keys.events("a"))]
        assert [fields["type"] for fields in entries] == [
            "job.queued",
            "job.updated",
            "job.running",
            "job.updated",
            "job.requeued",
            "job.running",
            "job.progress",
            "job.failed",
        ]
        assert {fields["job"] for fields in entries} == {job}
        data = [json.loads(fields["data"]) for fields in entries]
        assert data[2] == {"worker": "w1", "attempt": 1}
        assert data[-1] == {"error": ERROR.model_dump()}
        assert client.xlen(keys.events("b")) == client.xlen(keys.ROOM_EVENTS) == 1


async def test_a_stream_of_events_stays_bounded(redis: RedisConnection, redis_server: RedisServer) -> None:
    room = Room(JobRepository(redis, Scripts(redis, Limits(events_length=100))))
    (job,) = await room.send("a")
    for _ in range(10):
        await room.jobs.publish_many("a", job, "job.progress", [b"{}"] * 100, room.now)
    with redis_server.client() as client:
        assert client.xlen(keys.events("a")) <= 300  # "~" trims whole nodes of 100 entries


async def test_the_bell_rings_for_work_and_for_stops(room: Room, redis_server: RedisServer) -> None:
    with redis_server.client() as client, client.pubsub() as listener:
        listener.subscribe(keys.BELL, keys.STOPS)
        heard: list[tuple[str, str]] = []

        def listen() -> bool:
            message = listener.get_message(timeout=0.05)
            if message and message["type"] == "message":
                heard.append((message["channel"], message["data"]))
            return len(heard) >= 2

        (job,) = await room.send("a", pool="video")
        await room.take(("video",))
        await room.jobs.cancel(job, room.now)
        await wait_until(listen, "two rings")
        assert heard == [(keys.BELL, "video"), (keys.STOPS, job)]
