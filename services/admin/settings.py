"""What the console can be told; read from the environment (prefix `ADMIN_`) by `__main__` only."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.kit.service_settings import ServiceSettings


class AdminSettings(ServiceSettings):
    """Where the queue manager answers, what the stack says about itself, how the front door is recognised."""

    model_config = SettingsConfigDict(env_prefix="ADMIN_", frozen=True, extra="ignore")

    host: str = Field(default="127.0.0.1", description="Address to listen on; only nginx should reach it.")
    port: int = Field(default=8160, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    queue_url: str = Field(default="http://127.0.0.1:8180", description="Address of the queue manager.")
    token_file: Path = Field(description="File with an operator's credential; read again when it changes.")
    door_secret: SecretStr = Field(
        min_length=1, description="A request without it in `X-Door-Secret` is refused: nginx adds it."
    )
    stack_outputs_file: Path | None = Field(
        default=None, description="The stack's outputs as the deployment wrote them; without it, one machine."
    )
    probe_seconds: float = Field(
        default=5, ge=0.1, le=3600, description="How often containers are asked how they are, and the files are read."
    )
    workshop_title: str = Field(default="ComfyuME", description="The name at the top of the page.")
