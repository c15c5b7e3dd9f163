"""The comparison itself: plant secrets, try every pair, listen on every socket; gives what went wrong in words."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.isolation import attack
from tests.isolation.addresses import Address, door_addresses, sign_in_addresses, web_ui_addresses
from tests.isolation.people import Caller, Person, keep_a_job_going, move_in, sign_in, snapshot
from tests.support.wait import wait_until
from tests.support.workshop_room import Workshop

FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
ENDED = "execution_interrupted"


@dataclass
class Room:
    """Everybody signed in, with belongings, and every address there is."""

    workshop: Workshop
    caller: Caller
    people: dict[str, Person]
    web_ui: list[Address]
    door: list[Address]
    requests: int = 0

    async def try_pair(self, attacker: Person, victim: Person, turn: int, names_each: int | None = None) -> list[str]:
        """All that `attacker` can try against `victim`; `names_each`: how many of the names each address is tried with.

        Afterwards the victim's things are compared with what they were before.
        """
        names = attack.names_of(victim)
        if names_each is not None:
            names = [names[(turn * names_each + number) % len(names)] for number in range(names_each)]
        forbidden = attack.words_of(victim, self.workshop)
        before = await snapshot(self.caller, victim)
        complaints = []
        for tries, statuses in (
            (attack.at_the_victims_address(self.web_ui, attacker, victim, turn), attack.REFUSALS),
            (attack.at_the_own_address(self.web_ui, attacker, victim, names), None),
            (attack.at_the_door(self.door, attacker, victim), None),
        ):
            async for attempt, answer in attack.send(self.caller, tries):
                self.requests += 1
                complaints.append(attack.complaint(attempt, answer, forbidden, statuses))
        after = await snapshot(self.caller, victim)
        complaints += [f"{attacker.name} changed {thing}" for thing in before | after
                       if before.get(thing) != after.get(thing)]  # fmt: skip
        return [complaint for complaint in complaints if complaint]


@asynccontextmanager
async def furnished(workshop: Workshop, folder: Path) -> AsyncIterator[Room]:
    """Everybody signed in and moved in; each has an ended job and one that waits, the first one that runs.

    The worker takes no other job: one's own interrupt must not change the next one's queue.
    """
    async with Caller(workshop) as caller:
        people = {name: await sign_in(caller, workshop, name) for name in workshop.web_uis}
        for person in people.values():
            await move_in(caller, person)
        first, *others = people.values()
        await keep_a_job_going(caller, first)
        await wait_until(lambda: runs(caller, first), "the first long job to run")
        pause(workshop, on=True)
        for person in others:
            await keep_a_job_going(caller, person)
        door = [*door_addresses(workshop.configuration), *sign_in_addresses(folder)]
        yield Room(workshop, caller, people, web_ui_addresses(folder), door)


async def runs(caller: Caller, person: Person) -> bool:
    """Whether the person has a job on the worker."""
    return bool((await person.own(caller, "GET", "/queue")).json()["queue_running"])


@dataclass
class Ear:
    """A socket at the own address that says it were another client, and all that it hears."""

    owner: Person
    heard: list[str] = field(default_factory=list)

    async def listen(self, caller: Caller, client_id: str) -> None:
        """Until the socket is closed."""
        headers = {"Cookie": self.owner.cookie}
        address = f"{caller.url.replace('http', 'ws', 1)}/{self.owner.name}/ws?clientId={client_id}"
        async with caller.session.ws_connect(address, headers=headers, max_msg_size=0) as socket:
            await socket.send_json(FEATURES)
            async for message in socket:
                if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    self.heard.append(str(message.data))

    def hears(self, kind: str) -> bool:
        """Whether a message of that kind about the owner's newest job was heard."""
        return any(f'"{kind}"' in message and self.owner.jobs[-1] in message for message in self.heard)

    def knows(self, words: Iterable[str]) -> list[str]:
        """Which of these words were heard."""
        return [word for word in words if any(word in message for message in self.heard)]


async def listen_to_everybody(room: Room) -> list[str]:
    """Let everybody's long job run for a while, one after the other, while all others listen with that client id.

    Ends all jobs.
    """
    people = list(room.people.values())
    ears = [Ear(person) for person in people for _ in ("own", "foreign")]
    ids = [client for number, person in enumerate(people)
           for client in (person.client_id, people[(number + 1) % len(people)].client_id)]  # fmt: skip
    async with AsyncExitStack() as stack:
        tasks = [asyncio.create_task(ear.listen(room.caller, client)) for ear, client in zip(ears, ids, strict=True)]
        stack.push_async_callback(_end, tasks)
        await wait_until(lambda: all(ear.heard for ear in ears), "every socket to be greeted")
        await _begin_anew(room)
        own = ears[::2]
        for _ in people:
            await _hear_one_and_end_it(room, own)
    return [
        f"{ear.owner.name}'s socket heard of {victim.name}: {heard}"
        for ear in ears
        for victim in people
        if victim is not ear.owner and (heard := ear.knows([*victim.jobs, victim.secret]))
    ]


async def _hear_one_and_end_it(room: Room, ears: list[Ear]) -> None:
    """Wait until one of these hears that its own job runs, and end that job: the worker takes the next one."""

    def now_running() -> list[Ear]:
        return [ear for ear in ears if ear.hears("progress") and not ear.hears(ENDED)]

    ear = (await wait_until(now_running, "somebody to see the own progress"))[0]
    await ear.owner.own(room.caller, "POST", "/interrupt", json={})
    await wait_until(lambda: ear.hears(ENDED), f"{ear.owner.name} to see the end")


async def _begin_anew(room: Room) -> None:
    """Everybody ends the own jobs; the worker goes on and everybody queues a new one."""
    for person in room.people.values():
        await person.own(room.caller, "POST", "/queue", json={"clear": True})
        await person.own(room.caller, "POST", "/interrupt", json={})
    pause(room.workshop, on=False)
    for person in room.people.values():
        await keep_a_job_going(room.caller, person)


def pause(workshop: Workshop, *, on: bool) -> None:
    """Keep the worker from taking another job, or let it go on."""
    with workshop.queue.client("ines") as instructor:
        instructor.put("/api/queue/paused", json={"paused": on}).raise_for_status()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
            await task
