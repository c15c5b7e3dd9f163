"""Events as they happen, by WebSocket or as server-sent events; both go on where the viewer left off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, WebSocket
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.domain.errors import Forbidden, InvalidInput, NotSignedIn, Unavailable, WorkshopError
from services.domain.names import Role, is_name
from services.kit.http_service import as_workshop_error, error_response
from services.queue_manager.credentials import Credentials, Identity
from services.queue_manager.dependencies import AsReader, check_role, state_of
from services.queue_manager.events import EVERYBODY, EventHub, Watch
from services.queue_manager.frames import FanOutProtocol
from services.queue_manager.streams import EventId, parse_id
from services.queue_manager.viewers import TRY_AGAIN_LATER, SocketViewer, StreamViewer

router = APIRouter(prefix="/api/events", tags=["events"])

BEAT_SECONDS = 15.0
"""A stream of server-sent events that has nothing to say shows this often that it is alive."""

_READERS = (Role.PARTICIPANT, Role.INSTRUCTOR, Role.OPERATOR)
_BEAT = b": beat\n\n"
_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {
        "description": "id and data lines; the data is {id, type, job, participant, at, data}",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}

Participant = Annotated[str | None, Query(max_length=32, description="instructor and operator: a name, or * for all")]
After = Annotated[str | None, Query(max_length=40, description="id of the last event that was seen")]


@router.get("", summary="Follow the events", responses=_ANSWERS, response_class=StreamingResponse)
async def follow(
    request: Request,
    who: AsReader,
    participant: Participant = None,
    after: After = None,
    last_event_id: Annotated[str | None, Header(max_length=40, description="as `after`; sent by browsers")] = None,
) -> StreamingResponse:
    """A stream of server-sent events that does not end. Comment lines in between show that it is alive."""
    state = state_of(request)
    watched = _watched(who, participant)
    start = _start(last_event_id or after)
    token = request.headers["authorization"].split(" ", 1)[1].strip()
    viewer = StreamViewer(lambda: _still_allowed(state["credentials"], token, who))
    watch = await state["events"].join(viewer, watched)
    return _EventStream(state["events"], watch, viewer, start)


class _EventStream(StreamingResponse):
    """The response that a StreamViewer feeds; whatever happens, the viewer leaves the hub at the end."""

    def __init__(self, hub: EventHub, watch: Watch, viewer: StreamViewer, after: EventId | None) -> None:
        self._hub = hub
        self._watch = watch
        self._viewer = viewer
        self._after = after
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(self._lines(), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replay = asyncio.create_task(self._replay())
        try:
            await super().__call__(scope, receive, send)
        finally:
            replay.cancel()
            self._hub.leave(self._watch)

    async def _replay(self) -> None:
        try:
            await self._hub.catch_up(self._watch, self._after)
        except Exception:
            self._viewer.close(TRY_AGAIN_LATER, "the store is away")
            raise

    async def _lines(self) -> AsyncIterator[bytes]:
        yield _BEAT
        while (taken := await self._viewer.next(BEAT_SECONDS)) is not None:
            yield taken or _BEAT


@router.websocket("/ws")
async def follow_by_socket(websocket: WebSocket) -> None:
    """The same events as text messages, and previews as binary ones: a job's UUID (16 bytes), then ComfyUI's frame."""
    state = state_of(websocket)
    try:
        token, subprotocol = _socket_token(websocket)
        who = check_role(state["credentials"].identify(token), _READERS)
        watched = _watched(who, websocket.query_params.get("participant"))
        after = _start(websocket.query_params.get("after"))
        viewer = SocketViewer(
            FanOutProtocol.of(websocket.scope), lambda: _still_allowed(state["credentials"], token, who)
        )
        watch = await state["events"].join(viewer, watched)
    except Exception as error:
        known = as_workshop_error(error)
        if known is None:
            raise
        await websocket.send_denial_response(error_response(known))
        return
    try:
        await websocket.accept(subprotocol=subprotocol)
        await _serve(websocket, state["events"], watch, after)
    finally:
        state["events"].leave(watch)


async def _serve(websocket: WebSocket, hub: EventHub, watch: Watch, after: EventId | None) -> None:
    """Bring the viewer up to date, then wait until he goes; what he says is not listened to."""
    try:
        await hub.catch_up(watch, after)
    except WorkshopError:
        watch.viewer.close(TRY_AGAIN_LATER, "the store is away; come back with the id of the last event")
        raise
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def _socket_token(websocket: WebSocket) -> tuple[str, str | None]:
    """Find the token in the header Authorization, or behind the word bearer among the subprotocols (for browsers)."""
    scheme, _, token = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip(), None
    offered: list[str] = websocket.scope.get("subprotocols", [])
    if len(offered) == 2 and offered[0] == "bearer":
        return offered[1], "bearer"
    raise NotSignedIn(
        "The token is missing; send the header `Authorization: Bearer <token>` or the subprotocols `bearer, <token>`."
    )


def _watched(who: Identity, participant: str | None) -> str:
    """Decide whose events are shown: a participant's own, whatever he asks for others is refused."""
    if who.role is Role.PARTICIPANT:
        if participant not in (None, who.name):
            raise Forbidden("You can follow your own events only; leave the parameter participant out.")
        return who.name
    if participant is None:
        return who.name
    if participant != EVERYBODY and not is_name(participant):
        raise InvalidInput("The parameter participant has to be a participant's name, or * for everybody.")
    return participant


def _start(text: str | None) -> EventId | None:
    return parse_id(text) if text else None


def _still_allowed(credentials: Credentials, token: str, who: Identity) -> bool:
    try:
        return credentials.identify(token) == who
    except NotSignedIn:
        return False
    except Unavailable:
        return True  # nobody can be checked at the moment; the next look decides
