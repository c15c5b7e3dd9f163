"""The command line's settings, read from the environment (prefix `COMFYUME_`)."""

from pathlib import Path

from pydantic import AnyHttpUrl, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CliSettings(BaseSettings):
    """Where the queue manager is and who asks."""

    model_config = SettingsConfigDict(env_prefix="COMFYUME_", frozen=True)

    url: AnyHttpUrl | None = Field(
        default=None, description="address of the queue manager; default: the local workshop's"
    )
    token: SecretStr | None = Field(
        default=None, description="credential; default: the fitting one of the local workshop"
    )
    workshop: Path | None = Field(
        default=None, description="folder of a local workshop; default: `workshop` here or in a folder above"
    )
