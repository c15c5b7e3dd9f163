"""The settings of a service: environment variables, and files for what must not stand in one.

Docker shows a container's environment to everybody who may inspect it. So each setting may also be a file of the
variable's name in `/run/secrets`; where both are there, the variable counts.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource

SECRETS = Path("/run/secrets")
"""Where Docker and the stack put them; a missing folder means that there are none."""


class ServiceSettings(BaseSettings):
    """Base of every service's settings class."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the files."""
        return init_settings, env_settings, SecretFiles(settings_cls)


class SecretFiles(SecretsSettingsSource):
    """Reads `<SECRETS>/<NAME OF THE VARIABLE>`; line ends around the value are cut off."""

    def __call__(self) -> dict[str, Any]:
        """The values of those fields that have a file; raises ValidationError naming one that cannot be read."""
        self.secrets_dir = SECRETS if SECRETS.is_dir() else None
        if self.secrets_dir is not None:
            for field_name, field in self.settings_cls.model_fields.items():
                self._require_readable(field_name, self._extract_field_info(field, field_name)[0][1])
        return super().__call__()

    def _require_readable(self, field_name: str, variable: str) -> None:
        path = self.find_case_path(SECRETS, variable, self.case_sensitive)
        try:
            if path is not None:
                path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            problem = PydanticCustomError("unreadable_file", "its file in /run/secrets cannot be read as text")
            details = InitErrorDetails(type=problem, loc=(field_name,), input=None)
            raise ValidationError.from_exception_data(self.settings_cls.__name__, [details]) from None
