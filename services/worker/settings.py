"""The worker's settings, read once from the environment (prefix `WORKER_`) and passed on from there."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from services.domain.names import Name
from services.kit.service_settings import ServiceSettings

GIBIBYTE = 1 << 30


class Backend(StrEnum):
    """Whose ComfyUI the worker drives."""

    REHEARSAL = "rehearsal"
    LOCAL = "local"
    URL = "url"


class WorkerSettings(ServiceSettings):
    """What the operator decides about one worker."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", frozen=True)

    name: Name = Field(description="the worker's own name; must be the name of its credential")
    queue_url: AnyHttpUrl = Field(
        default=AnyHttpUrl("http://127.0.0.1:8180"), description="address of the queue manager"
    )
    token: SecretStr | None = Field(default=None, description="credential of the worker; or name a file in token_file")
    token_file: Path | None = Field(
        default=None, description="file with the credential, read again whenever the queue manager refuses it"
    )
    backend: Backend = Field(
        default=Backend.REHEARSAL, description="rehearsal, local (COMFYUI_DIR) or url (COMFYUI_URL)"
    )
    comfyui_url: AnyHttpUrl | None = Field(default=None, description="address of the ComfyUI for backend=url")
    comfyui_token: SecretStr | None = Field(
        default=None, description="bearer token that the ComfyUI at comfyui_url demands, as serverless containers do"
    )
    comfyui_dir: Path | None = Field(default=None, description="folder with ComfyUI's main.py for backend=local")
    comfyui_python: Path = Field(
        default=Path(sys.executable), description="interpreter with torch that runs main.py for backend=local"
    )
    comfyui_args: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="further arguments for main.py, separated by spaces"
    )
    comfyui_port: int = Field(
        default=0, ge=0, le=65535, description="port of a ComfyUI that the worker starts; 0 takes a free one"
    )
    data_dir: Path = Field(
        default=Path("worker-data"), description="folder for cached inputs and ComfyUI's own folders"
    )
    input_cache_bytes: int = Field(
        default=20 * GIBIBYTE, ge=0, description="how much of the participants' inputs is kept for the next job"
    )
    gpu_reserve_bytes: int = Field(
        default=2 * GIBIBYTE, ge=0, description="GPU memory that must stay free beside a job's models"
    )
    start_seconds: float = Field(
        default=300, gt=0, description="how long a ComfyUI that the worker started may take until it answers"
    )
    hang_seconds: float = Field(
        default=600, gt=0, description="a job without any message or progress for this long counts as hung"
    )
    away_seconds: float = Field(
        default=30, gt=0, description="how long a ComfyUI may stay unreachable before its job is given up"
    )
    interrupt_seconds: float = Field(
        default=60, gt=0, description="how long an interrupted job may take to stop before ComfyUI is restarted"
    )
    drain_seconds: float = Field(
        default=600, ge=0, description="how long a draining worker lets its job run before giving it back"
    )
    refresh_seconds: float = Field(
        default=300, gt=0, description="how often an idle worker looks for new nodes and models"
    )
    health_port: int = Field(default=0, ge=0, le=65535, description="port of /healthz, /readyz, /metrics; 0 is off")
    health_host: str = Field(default="127.0.0.1", description="address that the health port listens on")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="least level logged")

    @model_validator(mode="before")
    @classmethod
    def _split_arguments(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("comfyui_args"), str):
            return {**values, "comfyui_args": values["comfyui_args"].split()}
        return values

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.token is None and self.token_file is None:
            raise ValueError("set WORKER_TOKEN, or WORKER_TOKEN_FILE to a file that holds it")
        if self.token_file is not None and not os.access(self.token_file, os.R_OK):
            raise ValueError("WORKER_TOKEN_FILE names a file that cannot be read; name the one with the credential")
        if self.backend is Backend.URL and self.comfyui_url is None:
            raise ValueError("backend=url needs WORKER_COMFYUI_URL, the address of the ComfyUI")
        if self.backend is Backend.LOCAL and (self.comfyui_dir is None or not (self.comfyui_dir / "main.py").is_file()):
            raise ValueError("backend=local needs WORKER_COMFYUI_DIR, the folder with ComfyUI's main.py")
        return self

    def read_token(self) -> str:
        """The credential as it stands now; a file is read again each time, so that it can be rotated."""
        if self.token_file is not None:
            return self.token_file.read_text(encoding="utf-8").strip()
        assert self.token is not None  # _complete saw to it
        return self.token.get_secret_value()
