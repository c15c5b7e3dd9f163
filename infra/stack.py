"""What every component of one stack knows: the settings, the names, and the clouds' providers."""

from dataclasses import dataclass

from infra.naming import Naming
from infra.providers import Providers
from infra.settings import StackSettings


@dataclass(frozen=True)
class Stack:
    """One stack: `prod`, `staging`."""

    settings: StackSettings
    naming: Naming
    providers: Providers
