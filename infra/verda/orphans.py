"""What Verda bills under a stack's names and the stack's state does not know: found and named, never touched.

Orphans come from a run that was killed at the wrong moment, from a state that was lost, and, on purpose, from a
`destroy` that keeps the volumes. Names are all that tells whose a thing is: of two stacks `staging` and `staging-2`,
the first is also shown what the second one has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from infra.verda.api import VerdaApi

HOURS_PER_MONTH = 730
OUR_TYPES = "pulumi-python:dynamic/verda:"


@dataclass(frozen=True)
class Billed:
    """One thing that costs money. `per_hour` is None where Verda does not say, as for serverless deployments."""

    kind: str
    id: str
    name: str
    status: str
    per_hour: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def find_orphans(prefix: str, billed: Iterable[Billed], known_ids: Iterable[str]) -> list[Billed]:
    """The billed things whose names begin with `prefix` (`comfyume-staging-`) and whose ids nobody knows. Pure."""
    known = frozenset(known_ids)
    found = [thing for thing in billed if thing.name.startswith(prefix) and thing.id not in known]
    return sorted(found, key=lambda thing: (thing.kind, thing.name, thing.id))


def ids_in_state(export: dict[str, Any]) -> set[str]:
    """The ids at Verda that an exported state knows, the system disks of its machines included. Pure."""
    deployment = export.get("deployment", export)
    resources = [entry for entry in deployment.get("resources") or [] if str(entry["type"]).startswith(OUR_TYPES)]
    ids = {str(entry.get("id")) for entry in resources}
    disks = {str((entry.get("outputs") or {}).get("os_volume_id") or "") for entry in resources}
    return (ids | disks) - {""}


def all_billed(api: VerdaApi) -> Iterator[Billed]:
    """Every machine, volume and deployment of the account."""
    for machine in api.machines.all():
        yield Billed("machine", machine.id, machine.hostname, machine.status, machine.price_per_hour)
    for volume in api.volumes.all():
        hourly = volume.base_hourly_cost
        if hourly is None and volume.monthly_price is not None:
            hourly = volume.monthly_price / HOURS_PER_MONTH
        yield Billed("volume", volume.id, volume.name, volume.status, hourly)
    for deployment in api.serverless.all():
        yield Billed("deployment", deployment.name, deployment.name, "deployed", None)
