"""A container's environment, checked against the settings class of the service that will read it.

A misspelt variable would be ignored by the service and found in the class; here it stops the program.
"""

from collections.abc import Mapping

import pulumi
from pydantic_settings import BaseSettings


class UnknownVariable(ValueError):
    """A container is given a variable that its service does not read."""


def environment_of(
    settings_class: type[BaseSettings], values: Mapping[str, pulumi.Input[str]]
) -> dict[str, pulumi.Input[str]]:
    """`values` by upper-case variable name, sorted.

    Raises:
        UnknownVariable: the service's settings class has no such field, or keeps it secret: then it belongs in a file.
    """
    prefix = str(settings_class.model_config.get("env_prefix", ""))
    for name in values:
        field = settings_class.model_fields.get(name.removeprefix(prefix).lower())
        if not name.startswith(prefix) or field is None:
            raise UnknownVariable(f"{settings_class.__name__} does not read {name}")
        if "SecretStr" in str(field.annotation):
            raise UnknownVariable(f"{name} is secret: give it to {settings_class.__name__} as a file in /run/secrets")
    return dict(sorted(values.items()))
