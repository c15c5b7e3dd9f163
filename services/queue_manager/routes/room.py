"""The room: what the instructor switches for everybody, and the queue at a glance."""

from typing import Annotated

from fastapi import APIRouter, Path

from services.domain.errors import NotFound
from services.domain.names import NAME_PATTERN, Role
from services.kit.strict_json import StrictRoute
from services.queue_manager.credentials import Identity
from services.queue_manager.dependencies import AsInstructor, AsReader, CredentialBook, Jobs, Now, Workers
from services.queue_manager.schemas import (
    Caps,
    CapsView,
    DisciplineBody,
    DrainingBody,
    ParticipantView,
    PausedBody,
    RoomView,
)

router = APIRouter(prefix="/api", tags=["room"], route_class=StrictRoute)


@router.get("/queue", summary="The queue at a glance")
async def read_queue(who: AsReader, jobs: Jobs, workers: Workers, now: Now) -> RoomView:
    """Totals and settings. Instructor and operator see every participant, a participant sees himself."""
    room = await jobs.overview(now)
    view = RoomView(
        discipline=room.settings.discipline,
        paused=room.settings.paused,
        draining=room.settings.draining,
        waiting=room.waiting,
        running=room.running,
        workers=await workers.present(now),
        caps=CapsView(waiting=room.settings.waiting_cap, running=room.settings.running_cap),
        participants=[
            ParticipantView(
                name=person.name, waiting=person.waiting, running=person.running, ended_today=person.ended_today
            )
            for person in room.participants
        ],
    )
    if who.role is Role.PARTICIPANT:
        mine = await jobs.participant_counts(who.name, now)
        view.caps = CapsView(waiting=mine.waiting_cap, running=mine.running_cap)
        view.participants = [
            ParticipantView(name=mine.name, waiting=mine.waiting, running=mine.running, ended_today=mine.ended_today)
        ]
    return view


@router.put("/queue/discipline", status_code=204, summary="Choose the discipline")
async def put_discipline(body: DisciplineBody, _who: AsInstructor, jobs: Jobs, now: Now) -> None:
    """Switch the rule by which the next job is chosen; effective at once for jobs already waiting."""
    await jobs.set_discipline(body.discipline, now)
    await jobs.publish_to_room("room.discipline", {"discipline": body.discipline}, now)


@router.put("/queue/paused", status_code=204, summary="Pause or go on")
async def put_paused(body: PausedBody, _who: AsInstructor, jobs: Jobs, now: Now) -> None:
    """Stop handing out jobs, or go on. Jobs that run are not touched, new ones are still taken in."""
    await jobs.set_paused(body.paused, now)
    await jobs.publish_to_room("room.paused", {"paused": body.paused}, now)


@router.put("/queue/draining", status_code=204, summary="Drain the room, or stop draining")
async def put_draining(body: DrainingBody, _who: AsInstructor, jobs: Jobs, now: Now) -> None:
    """Let what runs finish and start nothing more; waiting jobs say that the room is being drained."""
    await jobs.set_draining(body.draining, now)
    await jobs.publish_to_room("room.draining", {"draining": body.draining}, now)


@router.put("/queue/caps", status_code=204, summary="Set everybody's caps")
async def put_caps(body: Caps, _who: AsInstructor, jobs: Jobs, now: Now) -> None:
    """Set how many jobs a participant may have waiting, and running while others wait, if he has no caps of his own."""
    await jobs.set_caps(None, body.waiting, body.running, now)
    await jobs.publish_to_room("room.caps", {"waiting": body.waiting, "running": body.running}, now)


@router.post("/queue/session", status_code=204, summary="Begin a new session")
async def new_session(_who: AsInstructor, jobs: Jobs, now: Now) -> None:
    """Forget who was served when, so that everybody begins the session alike."""
    await jobs.new_session(now)
    await jobs.publish_to_room("room.session", {}, now)


@router.put("/participants/{name}/caps", status_code=204, summary="Set one participant's caps")
async def put_own_caps(
    name: Annotated[str, Path(pattern=NAME_PATTERN, max_length=32)],
    body: Caps,
    _who: AsInstructor,
    jobs: Jobs,
    book: CredentialBook,
    now: Now,
) -> None:
    """Give one participant caps of his own; a cap that is left out stays as it is."""
    if not any(book.has(Identity(role, name)) for role in (Role.PARTICIPANT, Role.INSTRUCTOR)):
        raise NotFound(f"There is no participant {name}; GET /api/credentials lists them.")
    await jobs.set_caps(name, body.waiting, body.running, now)
