"""The queue manager's settings, read once from the environment (prefix `QUEUE_`) and passed on from there."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.service_settings import ServiceSettings

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


class QueueManagerSettings(ServiceSettings):
    """What the operator decides about the queue manager."""

    model_config = SettingsConfigDict(env_prefix="QUEUE_", frozen=True)

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="address of Redis, a password may stand inside; all managers of one room name the same",
    )
    data_dir: Path = Field(
        default=Path("queue-data"), description="folder for inputs, outputs, catalogues and the archive"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 opens it to the network")
    port: int = Field(default=8180, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    lease_seconds: float = Field(
        default=25, ge=1, le=3600, description="how long a silent worker keeps its job; longer means later recovery"
    )
    waiting_cap: int = Field(default=32, ge=1, le=100_000, description="waiting jobs a participant may have")
    running_cap: int = Field(
        default=1, ge=1, le=1000, description="running jobs a participant may have while others wait"
    )
    max_workflow_bytes: int = Field(
        default=8 * MEBIBYTE, ge=1024, le=256 * MEBIBYTE, description="largest body of a submit"
    )
    max_input_bytes: int = Field(default=20 * GIBIBYTE, ge=1, description="largest uploaded input file")
    keep_ended_seconds: int = Field(
        default=7 * 24 * 3600,
        ge=60,
        description="how long an ended job stays in the list and its idempotency key holds",
    )
    events_length: int = Field(
        default=1000, ge=10, le=1_000_000, description="events kept for each participant, about; older ones are missed"
    )
    credentials_dir: Path | None = Field(
        default=None,
        description='folder of files <role>-<name>.json, each {"role", "name", "token"}; followed as it changes',
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="least level logged")
