"""What the sign-in service can be told; read from the environment (prefix `AUTH_`) by `__main__` only."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.kit.service_settings import ServiceSettings


class AuthSettings(ServiceSettings):
    """Where accounts and keys lie and how long things last."""

    model_config = SettingsConfigDict(env_prefix="AUTH_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on; only nginx should reach it.")
    port: int = Field(default=8170, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    accounts_dir: Path = Field(description="Folder of accounts, one JSON file each: name, role, bcrypt hash, epoch.")
    session_keys_file: Path = Field(description="File of signing keys, one a line, the newest first.")
    queue_url: str = Field(
        default="http://127.0.0.1:8180", description="The queue manager, for the public health page."
    )
    session_hours: float = Field(default=12, gt=0, le=24 * 30, description="A session ends this long after sign-in.")
    failures_allowed: int = Field(default=5, ge=1, le=100, description="Wrong passwords before the lock-out.")
    lockout_seconds: float = Field(default=60, gt=0, le=3600, description="Over how long wrong passwords are counted.")
    workshop_title: str = Field(default="ComfyuME", description="The name on the landing and the sign-in page.")
