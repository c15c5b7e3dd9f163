"""Random histories of the whole queue: the Lua scripts against the plain model, one operation after the other.

FAIRNESS_HISTORIES=10000 (what `make fairness` sets) plays that many random ones; without it a fixed set is played.
"""

import asyncio
import os
import uuid
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from services.domain.errors import Conflict, LeaseLost, LimitReached
from services.domain.job import Discipline, JobError, JobState, Priority
from services.kit.redis_connection import RedisConnection
from services.queue_manager.repository import JobRepository, NewJob
from services.queue_manager.scripts import Limits, Scripts
from tests.support.key_leaks import leaked_keys
from tests.support.queue_invariants import broken_invariants
from tests.support.queue_model import ModelJob, QueueModel
from tests.support.redis_server import RedisServer

T = TypeVar("T")
LEASE_MS = 30_000
PEOPLE = st.sampled_from(["ada", "bob", "cleo", "dan", "eve", "flo", "gus"])
POOLS = st.sampled_from(["any", "any", "any", "video"])
MODELS = st.sampled_from(["", "flux", "ltx"])
PRIORITIES = st.sampled_from([Priority.NORMAL, Priority.NORMAL, *Priority])
PICK = st.integers(0, 10_000)
ERROR = JobError(type="Boom", message="it broke")


class Histories(RuleBasedStateMachine):
    """One random history; `server` and `loop` are set by the test."""

    server: RedisServer
    loop: asyncio.AbstractEventLoop
    redis: RedisConnection
    repository: JobRepository

    def __init__(self) -> None:
        super().__init__()
        self.client = self.server.client()
        self.client.flushall()
        self.model = QueueModel(waiting_cap=6)
        self.now = 1_000_000
        self.count = 0
        self.plain = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def pick(self, jobs: list[ModelJob], number: int) -> ModelJob | None:
        return sorted(jobs, key=lambda job: job.arrival)[number % len(jobs)] if jobs else None

    def new_job(self, owner: str, pool: str, priority: Priority, model: str, front: bool) -> NewJob:
        self.count += 1
        if self.plain:
            pool, priority, model = "any", Priority.NORMAL, ""
        job_id = str(uuid.UUID(int=self.count))
        return NewJob(
            id=job_id,
            participant=owner,
            workflow=job_id.encode(),
            pool=pool,
            priority=priority,
            model=model,
            front=front,
            idempotency_key=f"key-{self.count}" if self.count % 5 == 0 else "",
        )

    @initialize(plain=st.booleans(), owners=st.lists(PEOPLE, max_size=8), running_cap=st.sampled_from([1, 1, 2]))
    def a_class_begins(self, plain: bool, owners: list[str], running_cap: int) -> None:
        """In every second history all jobs are of the ordinary sort, for which a lease takes its shortest way."""
        self.plain = plain
        self.set_caps(None, running_cap, 6)
        for number, owner in enumerate(owners):
            self.enqueue_batch(owner, 3, "any", ("flux", "ltx")[number % 2])

    @rule(owner=PEOPLE, pool=POOLS, priority=PRIORITIES, model=MODELS, front=st.sampled_from([False, False, True]))
    def enqueue(self, owner: str, pool: str, priority: Priority, model: str, front: bool) -> None:
        job = self.new_job(owner, pool, priority, model, front)
        if not self.model.has_room(owner):
            with pytest.raises(LimitReached):
                self.run(self.repository.enqueue(job, self.now))
            return
        answer = self.run(self.repository.enqueue(job, self.now))
        known = self.model.enqueue(job.id, owner, job.pool, job.priority, job.model, front)
        assert (answer.number, answer.state, answer.duplicate) == (known.number, JobState.QUEUED, False)
        again = self.run(self.repository.enqueue(job, self.now))
        assert (again.id, again.number, again.duplicate) == (job.id, known.number, True)

    @rule(owner=PEOPLE, count=st.integers(2, 4), pool=POOLS, model=MODELS)
    def enqueue_batch(self, owner: str, count: int, pool: str, model: str) -> None:
        batch = [self.new_job(owner, pool, Priority.NORMAL, model, False) for _ in range(count)]
        if not self.model.has_room(owner, count):
            with pytest.raises(LimitReached):
                self.run(self.repository.enqueue_batch(batch, self.now))
            return
        self.run(self.repository.enqueue_batch(batch, self.now))
        for job in batch:
            self.model.enqueue(job.id, owner, job.pool, job.priority, job.model, False)

    @rule(pools=st.sampled_from([["any"], ["any"], ["any", "video"], ["video", "any"], ["video"]]), loaded=MODELS)
    def lease(self, pools: list[str], loaded: str) -> None:
        expected = self.model.choose(pools, loaded)
        self.count += 1
        token = f"token-{self.count}"
        got = self.run(self.repository.lease("worker", pools, loaded, token, self.now, LEASE_MS))
        if expected is None:
            assert got is None
            return
        assert got is not None
        lease, workflow = got
        assert lease.job_id == expected.id
        assert workflow == expected.id.encode()
        self.model.start(expected, token, self.now + LEASE_MS)
        assert (lease.participant, lease.number, lease.attempt) == (expected.owner, expected.number, expected.attempt)

    @rule(count=st.integers(2, 4), loaded=MODELS)
    def some_workers_lease(self, count: int, loaded: str) -> None:
        for _ in range(count):
            self.lease(["any"], loaded)

    @rule(number=PICK, other=PICK)
    def some_jobs_complete(self, number: int, other: int) -> None:
        self.end(number, "complete")
        self.end(other, "complete")

    @rule(number=PICK, outcome=st.sampled_from(["complete", "complete", "fail", "retry", "cancelled", "return"]))
    def end(self, number: int, outcome: str) -> None:
        job = self.pick(self.model.in_state(JobState.RUNNING), number)
        if job is None:
            return
        token = job.token
        state = self.run(self.report(job.id, token, outcome))
        if outcome == "complete":
            wanted = self.model.end(job, JobState.SUCCEEDED)
        elif outcome == "fail" and job.stop != "cancelled":
            wanted = self.model.end(job, JobState.FAILED)
        else:
            if outcome == "cancelled" and job.stop != "preempted":
                job.stop = "cancelled"
            wanted = self.model.give_up(job, counts=outcome == "retry")
        assert state == wanted
        if wanted.is_final:  # the answer was lost and the worker reports again, even with another outcome
            assert self.run(self.report(job.id, token, "retry")) == wanted
        else:
            with pytest.raises(LeaseLost):
                self.run(self.report(job.id, token, outcome))

    def report(self, job_id: str, token: str, outcome: str) -> Coroutine[Any, Any, JobState]:
        if outcome == "complete":
            return self.repository.complete(job_id, token, self.now, run_ms=700)
        if outcome == "cancelled":
            return self.repository.cancelled(job_id, token, self.now)
        if outcome == "return":
            return self.repository.give_back(job_id, token, self.now, "worker drains")
        return self.repository.fail(job_id, token, self.now, ERROR, retryable=outcome == "retry")

    @rule(number=PICK)
    def report_with_a_wrong_token(self, number: int) -> None:
        job = self.pick(list(self.model.jobs.values()), number)
        if job is not None:
            with pytest.raises(LeaseLost):
                self.run(self.repository.complete(job.id, "wrong", self.now))
            with pytest.raises(LeaseLost):
                self.run(self.repository.extend_lease(job.id, "", self.now, LEASE_MS))

    @rule(number=PICK)
    def heartbeat(self, number: int) -> None:
        job = self.pick(self.model.in_state(JobState.RUNNING), number)
        if job is not None:
            extended = self.run(self.repository.extend_lease(job.id, job.token, self.now, LEASE_MS))
            job.expires = self.now + LEASE_MS
            assert (extended.expires_at, extended.stop) == (job.expires, job.stop or None)

    @rule(step=st.sampled_from([1_000, 20_000, 31_000]))
    def time_passes(self, step: int) -> None:
        self.now += step
        expired = [job for job in self.model.in_state(JobState.RUNNING) if job.expires <= self.now]
        expired.sort(key=lambda job: (job.expires, job.id))
        assert self.run(self.repository.reap(self.now)) == [job.id for job in expired]
        for job in expired:
            self.model.give_up(job, counts=True)

    @rule(number=PICK)
    def cancel(self, number: int) -> None:
        job = self.pick(list(self.model.jobs.values()), number)
        if job is None:
            return
        state = self.run(self.repository.cancel(job.id, self.now))
        if job.state is JobState.QUEUED:
            self.model.end(job, JobState.CANCELLED)
        elif job.state is JobState.RUNNING:
            job.stop = "cancelled"
        assert state == job.state

    @rule(number=PICK)
    def preempt(self, number: int) -> None:
        job = self.pick(self.model.in_state(JobState.RUNNING), number)
        if job is not None:
            self.run(self.repository.preempt(job.id, self.now))
            job.stop = job.stop or "preempted"

    @rule(number=PICK)
    def run_next(self, number: int) -> None:
        job = self.pick(self.model.in_state(JobState.QUEUED), number)
        if job is not None:
            self.run(self.repository.run_next(job.id, self.now))
            if job.first is None:
                self.model.firsts += 1
                job.first = self.model.firsts

    @rule(number=PICK, priority=PRIORITIES)
    def set_priority(self, number: int, priority: Priority) -> None:
        job = self.pick(self.model.in_state(JobState.QUEUED), number)
        if job is not None:
            self.run(self.repository.set_priority(job.id, priority, self.now))
            job.priority = priority

    @rule(number=PICK)
    def requeue(self, number: int) -> None:
        ended = [job for job in self.model.jobs.values() if job.state.is_final]
        job = self.pick(ended, number)
        if job is None:
            return
        if job.state is JobState.SUCCEEDED or not self.model.has_room(job.owner):
            with pytest.raises((Conflict, LimitReached)):
                self.run(self.repository.requeue(job.id, self.now))
            return
        self.run(self.repository.requeue(job.id, self.now))
        self.model.arrivals += 1
        job.arrival = job.order = self.model.arrivals
        job.state, job.attempt, job.token = JobState.QUEUED, 0, ""

    @rule(number=PICK, pool=POOLS)
    def move_to_pool(self, number: int, pool: str) -> None:
        job = self.pick(self.model.in_state(JobState.QUEUED), number)
        if job is not None:
            assert self.run(self.repository.move_to_pool(job.id, pool, self.now))
            job.pool = pool

    @rule(discipline=st.sampled_from(Discipline))
    def set_discipline(self, discipline: Discipline) -> None:
        self.run(self.repository.set_discipline(discipline, self.now))
        self.model.discipline = discipline

    @rule()
    def new_session(self) -> None:
        self.run(self.repository.new_session(self.now))
        self.model.session = self.model.served

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.run(self.repository.set_paused(paused, self.now))
        (self.model.closed.add if paused else self.model.closed.discard)("paused")

    @precondition(lambda self: self.model.closed)
    @rule()
    def resume(self) -> None:
        self.run(self.repository.set_paused(False, self.now))
        self.run(self.repository.set_draining(False, self.now))
        self.model.closed.clear()

    @rule(owner=st.one_of(st.none(), PEOPLE), running=st.integers(1, 3), waiting=st.integers(3, 8))
    def set_caps(self, owner: str | None, running: int, waiting: int) -> None:
        self.run(self.repository.set_caps(owner, waiting, running, self.now))
        target = self.model if owner is None else self.model.person(owner)
        target.running_cap, target.waiting_cap = running, waiting

    @rule(number=PICK)
    def look_at_a_place(self, number: int) -> None:
        job = self.pick(self.model.in_state(JobState.QUEUED), number)
        if job is not None:
            place = self.run(self.repository.place(job.id, self.now))
            assert place is not None
            others = len([other for other in self.model.in_state(JobState.QUEUED) if other.pool == job.pool]) - 1
            assert 0 <= place.position <= others
            if self.model.choose([job.pool], "") is job:
                assert place.position == 0

    def teardown(self) -> None:
        for job in self.model.jobs.values():
            known = self.run(self.repository.job(job.id))
            assert known is not None
            assert (known.state, known.attempt, known.priority) == (job.state, job.attempt, job.priority)
            assert known.run_next == (job.first is not None)
        assert broken_invariants(self.client) == []
        assert leaked_keys(self.client) == []
        self.client.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_scripts_do_what_the_plain_model_does(redis_server: RedisServer) -> None:
    histories = int(os.environ.get("FAIRNESS_HISTORIES") or 0)
    with asyncio.Runner() as runner:
        Histories.server, Histories.loop = redis_server, runner.get_loop()
        Histories.redis = RedisConnection(redis_server.url)
        Histories.repository = JobRepository(Histories.redis, Scripts(Histories.redis, Limits(waiting_cap=6)))
        run_state_machine_as_test(
            Histories,
            settings=settings(
                max_examples=histories or 150,
                stateful_step_count=50,
                derandomize=not histories,
                database=None,
                phases=[Phase.generate],  # a failure prints how to play it again; shrinking takes very long here
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
        runner.run(Histories.redis.close())
