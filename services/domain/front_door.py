"""What the front door (nginx) has to know: the one model that its configuration template is filled from.

The template lies in `infra/templates/nginx`; the local workshop and the stack both render it from this.
"""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from services.domain.names import Name

Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+:[0-9]{1,5}$")]
"""`host:port` of a service behind the door."""


Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$", max_length=253)]
"""A host's name or its IPv4 address."""


Resolver = Annotated[str, StringConstraints(pattern=r"^[0-9.]+(:[0-9]{1,5})?$")]
"""Address of a DNS server, with its port unless that is 53."""


class WorkspaceAddress(BaseModel):
    """Where one participant's web UI answers."""

    model_config = ConfigDict(frozen=True)

    name: Name
    address: Address


class FrontDoor(BaseModel):
    """Addresses, certificate and limits of the front door."""

    model_config = ConfigDict(frozen=True)

    http_port: int = Field(default=80, description="Only redirects to HTTPS.")
    https_port: int = 443
    listen: str = Field(default="0.0.0.0", description="Address of the interface to listen on.")
    public_host: Host | None = Field(
        default=None,
        description="The name that people type. With it no redirect repeats the name of a request; None: many names.",
    )
    certificate: PurePosixPath
    certificate_key: PurePosixPath
    run_dir: PurePosixPath = Field(description="Writable folder for nginx's temporary files and its pid.")
    page_dir: PurePosixPath | None = Field(
        default=None,
        description="The stock page's static files, where nginx can read them; None: the web UIs send them.",
    )
    auth: Address
    queue_manager: Address
    admin: Address | None = None
    workspaces: list[WorkspaceAddress]
    door_secret: SecretStr = Field(description="What web UIs and console demand of every request.")
    user: str | None = Field(default=None, description="Who nginx works as, when it is started by root.")
    resolver: Resolver | None = Field(
        default=None, description="DNS server for names that move: Docker's is 127.0.0.11. None: addresses stay."
    )
