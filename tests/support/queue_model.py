"""The queue's rules once more, in plain Python, with nothing but lists: the yardstick for the Lua scripts.

Written from product.md's words and not from the scripts: every choice looks at all jobs.
"""

from dataclasses import dataclass, field

from services.domain.job import MAX_ATTEMPTS, Discipline, JobState, Priority

LOOK_AHEAD = 4


@dataclass
class ModelJob:
    """One job."""

    id: str
    owner: str
    pool: str
    priority: Priority
    model: str
    number: int
    arrival: int
    order: int
    """Place in the owner's line: the arrival, or a negative number for jobs at the front."""
    state: JobState = JobState.QUEUED
    attempt: int = 0
    first: int | None = None
    """When the instructor put it first."""
    token: str = ""
    expires: int = 0
    stop: str = ""


@dataclass
class ModelPerson:
    """One participant."""

    served: int = 0
    number: int = 0
    waiting_cap: int | None = None
    running_cap: int | None = None
    overtaken: tuple[int, int] = (0, 0)
    """(service mark, how often he was overtaken since)"""


@dataclass
class QueueModel:
    """The room."""

    discipline: Discipline = Discipline.ROUND_ROBIN
    closed: set[str] = field(default_factory=set)
    waiting_cap: int = 32
    running_cap: int = 1
    session: int = 0
    served: int = 0
    arrivals: int = 0
    fronts: int = 0
    firsts: int = 0
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    people: dict[str, ModelPerson] = field(default_factory=dict)

    def person(self, name: str) -> ModelPerson:
        """The participant, known or new."""
        return self.people.setdefault(name, ModelPerson())

    def of(self, owner: str, state: JobState) -> list[ModelJob]:
        """One participant's jobs in one state."""
        return [job for job in self.jobs.values() if job.owner == owner and job.state == state]

    def in_state(self, state: JobState) -> list[ModelJob]:
        """Everybody's jobs in one state."""
        return [job for job in self.jobs.values() if job.state == state]

    def has_room(self, owner: str, wanted: int = 1) -> bool:
        """Whether so many more jobs may wait."""
        cap = self.person(owner).waiting_cap or self.waiting_cap
        return len(self.of(owner, JobState.QUEUED)) + wanted <= cap

    def next_front(self) -> int:
        """The order of a job that goes to the front of its line."""
        self.fronts -= 1
        return self.fronts

    def enqueue(self, job_id: str, owner: str, pool: str, priority: Priority, model: str, front: bool) -> ModelJob:
        """Take a job in."""
        self.arrivals += 1
        person = self.person(owner)
        person.number += 1
        order = self.next_front() if front else self.arrivals
        job = ModelJob(job_id, owner, pool, priority, model, person.number, self.arrivals, order)
        self.jobs[job_id] = job
        return job

    def line(self, owner: str, pool: str) -> list[ModelJob]:
        """A participant's waiting jobs in one pool, in the order in which they will run."""
        waiting = [job for job in self.of(owner, JobState.QUEUED) if job.pool == pool]
        if self.discipline is Discipline.PRIORITY:
            return sorted(waiting, key=lambda job: (job.priority.rank, job.order))
        return sorted(waiting, key=lambda job: job.order)

    def turn(self, owner: str, head: ModelJob) -> tuple[bool, int, int]:
        """The lowest of these goes next."""
        person = self.person(owner)
        running_cap = self.running_cap if person.running_cap is None else person.running_cap
        capped = len(self.of(owner, JobState.RUNNING)) >= running_cap
        if self.discipline is Discipline.FIFO:
            return capped, 0, head.arrival
        if self.discipline is Discipline.PRIORITY:
            return capped, head.priority.rank, head.arrival
        if person.served > self.session:
            return capped, 1, person.served
        return capped, 0, head.order

    def turns(self, pool: str) -> list[tuple[tuple[bool, int, int], ModelJob]]:
        """Everybody who waits in the pool with his next job, next one first."""
        owners = {job.owner for job in self.in_state(JobState.QUEUED) if job.pool == pool}
        heads = [self.line(owner, pool)[0] for owner in sorted(owners)]
        return sorted(((self.turn(head.owner, head), head) for head in heads), key=lambda pair: pair[0])

    def choose(self, pools: list[str], loaded_model: str) -> ModelJob | None:
        """The job that a worker gets now."""
        if self.closed:
            return None
        waiting = [job for job in self.in_state(JobState.QUEUED) if job.pool in pools]
        firsts = [job for job in waiting if job.first is not None]
        if firsts:
            return min(firsts, key=lambda job: job.first or 0)
        candidates = [(turns[0][0], number) for number, pool in enumerate(pools) if (turns := self.turns(pool))]
        if not candidates:
            return None
        pool = pools[min(candidates)[1]]
        (capped, *_), first = self.turns(pool)[0]
        if loaded_model and first.model != loaded_model and self.discipline is Discipline.ROUND_ROBIN and not capped:
            return self.prefer_loaded(pool, first, loaded_model)
        return first

    def prefer_loaded(self, pool: str, first: ModelJob, loaded_model: str) -> ModelJob:
        """The first of the next few jobs with this model, unless somebody has been overtaken too often."""
        turns = self.turns(pool)
        limit = int(0.3 * (len(turns) - 1))
        overtaken: list[ModelPerson] = []
        for (capped, *_), job in turns[:LOOK_AHEAD] if limit else []:
            if capped:
                break
            if job.model == loaded_model:
                for other in overtaken:
                    other.overtaken = (other.served, self._overtaken(other) + 1)
                return job
            person = self.person(job.owner)
            if self._overtaken(person) >= limit:
                break
            overtaken.append(person)
        return first

    @staticmethod
    def _overtaken(person: ModelPerson) -> int:
        mark, times = person.overtaken
        return times if mark == person.served else 0

    def start(self, job: ModelJob, token: str, expires: int) -> None:
        """The job is leased."""
        self.served += 1
        self.person(job.owner).served = self.served
        job.state, job.token, job.expires, job.first = JobState.RUNNING, token, expires, None
        job.attempt += 1

    def end(self, job: ModelJob, state: JobState) -> JobState:
        """The job has its final state."""
        job.state, job.stop, job.first = state, "", None
        return state

    def give_up(self, job: ModelJob, counts: bool) -> JobState:
        """The lease is over without a result."""
        if job.stop == "cancelled":
            return self.end(job, JobState.CANCELLED)
        if job.stop == "preempted" or not counts:
            job.attempt -= 1
        elif job.attempt >= MAX_ATTEMPTS:
            return self.end(job, JobState.DEAD)
        job.state, job.stop, job.token, job.order = JobState.QUEUED, "", "", self.next_front()
        return JobState.QUEUED
