"""What a route may ask for: typed aliases over the state that the lifespan opened, and the gate by role.

`State` lists everything that lives as long as the process; `app.py` fills it. Identity comes from the credential alone.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict, cast

from fastapi import Depends, Header, Path
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from services.domain.errors import Forbidden, NotFound, NotSignedIn
from services.domain.job import Job
from services.domain.names import Role
from services.kit.clock import now_ms
from services.kit.redis_connection import RedisConnection
from services.queue_manager.bell import Bell, StopSignals
from services.queue_manager.catalogue_store import CatalogueStore
from services.queue_manager.credentials import Credentials, Identity
from services.queue_manager.events import EventHub
from services.queue_manager.extension_store import ExtensionStore
from services.queue_manager.files.archive import Archive
from services.queue_manager.files.inputs import InputFiles
from services.queue_manager.files.outputs import OutputFiles
from services.queue_manager.intake import JOB_ID
from services.queue_manager.leasing import Leasing
from services.queue_manager.parity import Parity
from services.queue_manager.pooling import Pools
from services.queue_manager.previews import Previews
from services.queue_manager.published_workflows import PublishedWorkflows
from services.queue_manager.repository import JobRepository
from services.queue_manager.settings import QueueManagerSettings
from services.queue_manager.views import JobViews
from services.queue_manager.workers import Workers as WorkerRegister


class State(TypedDict):
    """Everything that a process of the queue manager opened at start; `state_of(request)["..."]` reads it."""

    settings: QueueManagerSettings
    redis: RedisConnection
    jobs: JobRepository
    credentials: Credentials
    bell: Bell
    stops: StopSignals
    leasing: Leasing
    workers: WorkerRegister
    views: JobViews
    catalogues: CatalogueStore
    extensions: ExtensionStore
    published: PublishedWorkflows
    pools: Pools
    parity: Parity
    inputs: InputFiles
    outputs: OutputFiles
    events: EventHub
    previews: Previews
    archive: Archive


def state_of(connection: HTTPConnection) -> State:
    """Return the lifespan's state; a plain dictionary, so that the hot routes pay no attribute magic."""
    return cast(State, connection.scope["state"])


def _from_state(key: str) -> Any:
    """Make the dependency that hands out one entry of the state."""

    def read(connection: HTTPConnection) -> Any:
        return connection.scope["state"][key]

    return Depends(read)


Settings = Annotated[QueueManagerSettings, _from_state("settings")]
Redis = Annotated[RedisConnection, _from_state("redis")]
Jobs = Annotated[JobRepository, _from_state("jobs")]
CredentialBook = Annotated[Credentials, _from_state("credentials")]
LeaseBell = Annotated[Bell, _from_state("bell")]
Stops = Annotated[StopSignals, _from_state("stops")]
Workers = Annotated[WorkerRegister, _from_state("workers")]
Views = Annotated[JobViews, _from_state("views")]
Catalogues = Annotated[CatalogueStore, _from_state("catalogues")]
Extensions = Annotated[ExtensionStore, _from_state("extensions")]
Published = Annotated[PublishedWorkflows, _from_state("published")]
ParityCheck = Annotated[Parity, _from_state("parity")]
Inputs = Annotated[InputFiles, _from_state("inputs")]
Bodies = Annotated[Archive, _from_state("archive")]
Outputs = Annotated[OutputFiles, _from_state("outputs")]
PreviewRelay = Annotated[Previews, _from_state("previews")]
Now = Annotated[int, Depends(now_ms)]
"""Unix milliseconds at the start of the request."""

JobId = Annotated[
    str,
    Path(
        description="the job's UUID, in lower case",
        max_length=64,
        examples=["0b9c3b9e-6f0e-4d39-9f0b-0a4f4c8c2a11"],
    ),
]
LeaseToken = Annotated[
    str,
    Header(
        alias="X-Lease-Token", min_length=1, max_length=100, description="token of the lease, from POST /api/leases"
    ),
]

_bearer = HTTPBearer(auto_error=False, description="a token as `PUT /api/credentials/{role}/{name}` gave it")


def check_role(identity: Identity, roles: Sequence[Role]) -> Identity:
    """Return `identity` if its role is among `roles`; raises Forbidden otherwise."""
    if identity.role not in roles:
        wanted = " or ".join(map(_a, roles))
        raise Forbidden(f"This needs the credential of {wanted}; yours is that of {_a(identity.role)}.")
    return identity


def _a(role: Role) -> str:
    """The role with its article, as it stands in a sentence."""
    return f"an {role}" if role[0] in "aeio" else f"a {role}"


def require(*roles: Role) -> Callable[..., Identity]:
    """Make the dependency that lets only credentials with one of `roles` pass and returns who it is."""

    def gate(book: CredentialBook, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Identity:
        if given is None:
            raise NotSignedIn("The header Authorization is missing; send `Authorization: Bearer <token>`.")
        return check_role(book.identify(given.credentials), roles)

    return gate


AsParticipant = Annotated[Identity, Depends(require(Role.PARTICIPANT))]
AsSubmitter = Annotated[Identity, Depends(require(Role.PARTICIPANT, Role.INSTRUCTOR))]
AsInstructor = Annotated[Identity, Depends(require(Role.INSTRUCTOR))]
AsOperator = Annotated[Identity, Depends(require(Role.OPERATOR))]
AsRoom = Annotated[Identity, Depends(require(Role.INSTRUCTOR, Role.OPERATOR))]
AsReader = Annotated[Identity, Depends(require(Role.PARTICIPANT, Role.INSTRUCTOR, Role.OPERATOR))]
AsAnybody = Annotated[Identity, Depends(require(*Role))]
AsWorker = Annotated[Identity, Depends(require(Role.WORKER))]


def unknown_job(job_id: str) -> NotFound:
    """The one answer for a job that is not there and for a job of somebody else: they must not differ."""
    name = job_id if JOB_ID.fullmatch(job_id) else "of that id"
    return NotFound(f"There is no job {name} that is yours; GET /api/jobs lists your jobs.")


async def visible_job(jobs: JobRepository, job_id: str, who: Identity) -> Job:
    """Return the job if `who` may read it; raises NotFound for foreign and unknown ids alike."""
    job = await jobs.job(job_id) if JOB_ID.fullmatch(job_id) else None
    if job is None or not may_see(who, job.participant):
        raise unknown_job(job_id)
    return job


async def owned_job(jobs: JobRepository, job_id: str, who: Identity) -> Job:
    """Return the job if `who` may change it: his own, or anybody's for the instructor; raises NotFound."""
    if who.role is Role.OPERATOR:
        raise unknown_job(job_id)
    return await visible_job(jobs, job_id, who)


def may_see(who: Identity, owner: str) -> bool:
    """Whether `who` may read what belongs to `owner`."""
    if who.role in (Role.INSTRUCTOR, Role.OPERATOR):
        return True
    return who.role is Role.PARTICIPANT and who.name == owner
