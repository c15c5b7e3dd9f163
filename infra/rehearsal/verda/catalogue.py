"""What the rehearsed Verda offers: types, places, images, prices. Prices are those of infra/verda/prices.py."""

from typing import Any

from infra.verda.prices import PRICES

LOCATIONS = ("FIN-01", "FIN-02", "FIN-03", "ICE-01")
IMAGES = ("ubuntu-24.04", "ubuntu-24.04-cuda-12.8-open-docker", "ubuntu-22.04-cuda-12.4-docker")
VOLUME_TYPES = ("NVMe", "HDD", "NVMe_Shared")
VOLUME_PRICE_PER_GB_MONTH = {"NVMe": 0.2, "HDD": 0.05, "NVMe_Shared": 0.17}
TYPES = {price.instance_type: price for price in PRICES if not price.is_spot}
SPOT = {price.instance_type: price for price in PRICES if price.is_spot}
COMPUTE = ("H200", "B300", "H100", "RTX 6000 Ada", "L40S")


def hardware(instance_type: str) -> dict[str, Any]:
    """The parts that an instance of this type reports."""
    return {
        "cpu": {"description": "44 CPU", "number_of_cores": 44},
        "gpu": {"description": f"1x {instance_type}", "number_of_gpus": 0 if instance_type.startswith("CPU") else 1},
        "memory": {"description": "185GB RAM", "size_in_gigabytes": 185},
        "gpu_memory": {"description": "141GB GPU RAM", "size_in_gigabytes": 141},
        "storage": {"description": "dynamic"},
    }


def price_list() -> list[dict[str, Any]]:
    """The answer of /instance-types; numbers are strings there."""
    return [
        {
            "id": f"type-{name}",
            "instance_type": name,
            "price_per_hour": str(price.amount),
            "spot_price": str(SPOT[name].amount if name in SPOT else price.amount),
            "description": f"Rehearsal of {name}",
            **hardware(name),
            "best_for": [],
            "model": name,
            "name": name,
            "p2p": "",
            "currency": "eur",
            "manufacturer": "NVIDIA",
            "display_name": name,
            "supported_os": list(IMAGES),
        }
        for name, price in TYPES.items()
    ]


def availabilities() -> list[dict[str, Any]]:
    return [{"location_code": place, "availabilities": list(TYPES)} for place in LOCATIONS]
