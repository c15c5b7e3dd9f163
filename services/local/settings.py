"""The local workshop's settings, read once from the environment (prefix `WORKSHOP_`; ComfyUI's own without it)."""

from pathlib import Path
from typing import Self

from pydantic import AnyHttpUrl, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.domain.errors import InvalidInput


class WorkshopSettings(BaseSettings):
    """What may be chosen about a workshop on one machine."""

    model_config = SettingsConfigDict(env_prefix="WORKSHOP_", frozen=True)

    folder: Path = Field(
        default=Path("workshop"), description="where everything is kept: queue, files, logs, credentials"
    )
    host: str = Field(
        default="127.0.0.1", description="address that queue manager and front door listen on; 0.0.0.0 for the network"
    )
    queue_port: int = Field(default=8180, ge=1, le=65535, description="port of the queue manager")
    redis_port: int = Field(default=8179, ge=1, le=65535, description="port of Redis, on this machine only")
    redis_memory_mb: int = Field(
        default=1024, ge=16, description="MiB that the queue may take in memory; above it submits are refused"
    )
    workers: int = Field(default=1, ge=1, le=3, description="how many workers run")
    participants: int = Field(
        default=3, ge=1, le=99, description="user001, user002, ... get a web UI and a password at the first start"
    )
    door_port: int = Field(default=8443, ge=1, le=65535, description="port of the front door, HTTPS")
    door_http_port: int = Field(default=8080, ge=1, le=65535, description="port that leads to the front door")
    auth_port: int = Field(default=8170, ge=1, le=65535, description="port of the sign-in, on this machine only")
    console_port: int = Field(default=8160, ge=1, le=65535, description="port of the console, on this machine only")
    web_ui_port: int = Field(
        default=8201, ge=1, le=65435, description="port of the first web UI, on this machine only; the others follow"
    )
    start_seconds: float = Field(default=300, gt=0, description="how long each part may take until it is ready")
    drain_seconds: float = Field(
        default=60, ge=0, description="how long a running job may go on after Ctrl-C before it goes back to the queue"
    )
    comfyui_dir: Path | None = Field(
        default=None, validation_alias="COMFYUI_DIR", description="folder of a ComfyUI that the workers shall start"
    )
    comfyui_python: Path | None = Field(
        default=None, validation_alias="COMFYUI_PYTHON", description="the Python with torch that runs COMFYUI_DIR"
    )
    comfyui_url: AnyHttpUrl | None = Field(
        default=None, validation_alias="COMFYUI_URL", description="address of a ComfyUI that runs already"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.queue_port == self.redis_port:
            raise ValueError("WORKSHOP_QUEUE_PORT and WORKSHOP_REDIS_PORT are the same; choose two ports")
        if self.comfyui_dir is not None and self.comfyui_url is not None:
            raise ValueError("COMFYUI_DIR and COMFYUI_URL are both set; choose one ComfyUI")
        if self.comfyui_dir is not None and not (self.comfyui_dir / "main.py").is_file():
            raise ValueError("COMFYUI_DIR names a folder without main.py; name the folder that holds ComfyUI's source")
        if self.comfyui_url is not None and self.workers > 1:
            raise ValueError("COMFYUI_URL is one ComfyUI, which runs one job at a time; set WORKSHOP_WORKERS to 1")
        return self

    @property
    def door_url(self) -> str:
        """Where a browser on this machine finds the front door."""
        return f"https://{self._reachable_host}:{self.door_port}"

    @property
    def url(self) -> str:
        """Where this machine reaches the queue manager."""
        return f"http://{self._reachable_host}:{self.queue_port}"

    @property
    def _reachable_host(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"[{host}]" if ":" in host else host


def read_settings() -> WorkshopSettings:
    """Read the environment; raises InvalidInput with a sentence that names the variable."""
    try:
        return WorkshopSettings()
    except ValidationError as error:
        first = error.errors()[0]
        words = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise InvalidInput(f"{words}.") from error
        name = str(first["loc"][0])
        variable = name if name.startswith("COMFYUI_") else f"WORKSHOP_{name.upper()}"
        raise InvalidInput(f"{variable}={first['input']}: {words}.") from error
