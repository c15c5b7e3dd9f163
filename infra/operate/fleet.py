"""The rented GPU hosts: how many, of which type, and what that costs an hour."""

from typing import Any

from infra.operate.stack_file import Edit, Settings, section
from infra.settings_sections import GpuSettings
from infra.verda.prices import PRICES, price_of
from services.domain.errors import InvalidInput

MOST = 3


def count_set(count: int) -> Edit:
    """So many hosts. Each one that goes is backed up first, and stays when its backup fails."""
    if not 0 <= count <= MOST:
        raise InvalidInput(f"N: has to be 1 to {MOST} for gpu-up; `make gpu-down` takes all away.")

    def edit(settings: Settings) -> None:
        section(settings, "gpu")["count"] = count

    return edit


def type_set(instance_type: str) -> Edit:
    """Another type of machine: every host is backed up, given back and rented anew."""
    known = sorted({price.instance_type for price in PRICES})
    if not instance_type:
        raise InvalidInput(f"TYPE: is missing; types with a known price are {', '.join(known)}.")

    def edit(settings: Settings) -> None:
        if section(settings, "gpu").get("instance_type") == instance_type:
            raise InvalidInput(f"TYPE: is {instance_type} already; nothing to change.")
        section(settings, "gpu")["instance_type"] = instance_type

    return edit


def in_words(settings: Settings) -> str:
    """What the GPU hosts of these settings cost, with the basis of the figure."""
    gpu: dict[str, Any] = dict(section(settings, "gpu"))
    defaults = GpuSettings()
    count = gpu.get("count", defaults.count)
    kind = gpu.get("instance_type", defaults.instance_type)
    market = bool(gpu.get("is_spot", defaults.is_spot))
    price = price_of(kind, market)
    if not count:
        return "No GPU host is rented; the shared filesystem and kept volumes cost on."
    if price is None:
        return (
            f"{count} x {kind}{' (spot)' if market else ''}: the price is not known here; look at Verda's list first."
        )
    total = f"{count * price.amount:.2f} {price.currency} an hour"
    return f"{count} x {kind}{' (spot)' if market else ''}: {total}, by {price.basis}."
