"""What a web UI process can be told; read from the environment (prefix `FRONTEND_`) by `__main__` only."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.domain.names import Name
from services.kit.service_settings import ServiceSettings


class FrontendSettings(ServiceSettings):
    """Whose UI this is, where its queue manager answers, where its files lie."""

    model_config = SettingsConfigDict(env_prefix="FRONTEND_", frozen=True, extra="ignore")

    participant: Name = Field(description="Whose web UI this is; shown in the page's title.")
    queue_url: str = Field(default="http://127.0.0.1:8180", description="Address of the queue manager.")
    token_file: Path = Field(description="File with this participant's credential; read again when it changes.")
    data_dir: Path = Field(description="This participant's own folder: settings and saved workflows.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; only nginx should reach it.")
    port: int = Field(default=8188, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    door_secret: SecretStr | None = Field(
        default=None, description="When set, a request without it in `X-Door-Secret` is refused: nginx adds it."
    )
    quota_bytes: int = Field(
        default=200 * 2**20, ge=2**20, description="Bytes of saved workflows and settings a participant may keep."
    )
    max_upload_bytes: int = Field(default=20 * 2**30, ge=2**20, description="Largest single upload, in bytes.")
