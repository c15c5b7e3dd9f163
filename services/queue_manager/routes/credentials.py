"""Credentials: the operator adds, rotates and removes them; nobody else is touched and nothing is restarted."""

from typing import Annotated

from fastapi import APIRouter, Body, Path

from services.domain.names import NAME_PATTERN, Role
from services.kit.strict_json import StrictRoute
from services.queue_manager.dependencies import AsOperator, AsRoom, CredentialBook, Jobs, Now
from services.queue_manager.schemas import CredentialBody, CredentialView, NewCredential

router = APIRouter(prefix="/api/credentials", tags=["credentials"], route_class=StrictRoute)

CredentialName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=32, examples=["alice"])]


@router.get("", summary="List the credentials")
async def list_credentials(_who: AsRoom, book: CredentialBook) -> list[CredentialView]:
    """Everybody who has a credential, without tokens."""
    return [
        CredentialView(role=identity.role, name=identity.name, created_at=stored.created_at)
        for identity, stored in book.listed()
    ]


@router.put("/{role}/{name}", status_code=201, summary="Create or rotate a credential")
async def put_credential(
    role: Role,
    name: CredentialName,
    _who: AsOperator,
    book: CredentialBook,
    now: Now,
    body: Annotated[CredentialBody | None, Body()] = None,
) -> NewCredential:
    """Give a name its credential. An older token of the same name stops working before this answers, in every
    process.
    """
    token = await book.put(role, name, body.token if body else None, now)
    return NewCredential(role=role, name=name, token=token)


@router.delete("/{role}/{name}", status_code=204, summary="Remove a credential")
async def delete_credential(
    role: Role, name: CredentialName, _who: AsOperator, book: CredentialBook, jobs: Jobs, now: Now
) -> None:
    """Remove a credential at once. A participant's waiting jobs are cancelled, running ones are told to stop."""
    await book.remove(role, name)
    if role in (Role.PARTICIPANT, Role.INSTRUCTOR):
        await jobs.forget_participant(name, now)
