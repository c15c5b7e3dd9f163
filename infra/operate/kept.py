"""What stays when a stack goes, and what it costs on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.costs import HETZNER_EURO_A_MONTH
from infra.operate.summary import kind
from infra.verda.prices import SHARED_FILESYSTEM_GB_HOUR

HOURS_A_MONTH = 730
R2_DOLLAR_A_GB_MONTH = 0.015
"""Cloudflare's price list for R2 standard storage; traffic to the world is free."""


@dataclass(frozen=True)
class Kept:
    """One thing that is not deleted, why, and its price as far as it is known."""

    name: str
    kind: str
    why: str
    price: str


def kept_resources(resources: Iterable[Mapping[str, Any]]) -> list[Kept]:
    """What `down` leaves at the providers: what is protected, and what is let go without being deleted."""
    found = []
    for entry in resources:
        if not entry.get("custom") or not (entry.get("protect") or entry.get("retainOnDelete")):
            continue
        why = "protected" if entry.get("protect") else "kept on purpose"
        name, type_ = str(entry["urn"]).rpartition("::")[2], str(entry["type"])
        found.append(Kept(name, kind(type_), why, _price(type_, entry.get("inputs") or {})))
    return sorted(found, key=lambda thing: (thing.kind, thing.name))


def _price(type_: str, inputs: Mapping[str, Any]) -> str:
    """In words, with the basis in infra/README.md; empty for what costs nothing, or nothing by itself."""
    return _PRICES[type_](inputs) if type_ in _PRICES else ""


def _server(inputs: Mapping[str, Any]) -> str:
    monthly = HETZNER_EURO_A_MONTH.get(str(inputs.get("serverType")))
    return f"{monthly:.2f} EUR a month, also when it is off" if monthly else "Hetzner's price for its size"


def _verda_volume(inputs: Mapping[str, Any]) -> str:
    if inputs.get("type") != "NVMe_Shared":
        return "Verda's price for its size"
    return f"{float(inputs.get('size') or 0) * SHARED_FILESYSTEM_GB_HOUR * HOURS_A_MONTH:.2f} EUR a month"


_PRICES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "hcloud:index/server:Server": _server,
    "hcloud:index/volume:Volume": lambda inputs: f"Hetzner's price for {inputs.get('size')} GB",
    "hcloud:index/primaryIp:PrimaryIp": lambda _inputs: "Hetzner's price for an address",
    "cloudflare:index/r2Bucket:R2Bucket": lambda _inputs: f"{R2_DOLLAR_A_GB_MONTH} USD a GB and month of what is in it",
    "pulumi-python:dynamic/verda:Volume": _verda_volume,
}
