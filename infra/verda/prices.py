"""What Verda charges, as known when this was written: each price with its basis, for the cost table and for rehearsals.

The bill is Verda's; `Account.instance_types` of the client asks for today's list. Prices are without tax.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """One hour of one machine. `basis` says where and when the number was read."""

    instance_type: str
    is_spot: bool
    amount: float
    currency: str
    gpu: str
    basis: str

    @property
    def per(self) -> str:
        return "hour"


_FEBRUARY = "Verda's price list, read 2026-02-03; 19 % VAT comes on top in Germany"
_JANUARY = "Verda's price list, read 2026-01-14"
_CPU = "bills of 2026-02-06 to 2026-02-17"

PRICES: tuple[Price, ...] = (
    Price("1H200.141S.44V", False, 2.80, "EUR", "H200, 141 GB", _FEBRUARY),
    Price("1H200.141S.44V", True, 0.97, "EUR", "H200, 141 GB", _FEBRUARY),
    Price("1B300.30V", False, 4.63, "EUR", "B300, 288 GB", _FEBRUARY),
    Price("1B300.30V", True, 1.61, "EUR", "B300, 288 GB", _FEBRUARY),
    Price("1H100.80S.30V", False, 2.29, "USD", "H100, 80 GB", _JANUARY),
    Price("1H100.80S.30V", True, 1.15, "USD", "H100, 80 GB", _JANUARY),
    Price("1RTX6000ADA.10V", False, 0.702, "EUR", "RTX 6000 Ada, 48 GB", "Verda's price list, read 2026-02-02"),
    Price("1A100.22V", False, 0.39, "USD", "A100, 80 GB", "Verda's price list, read 2026-01-15; approximate"),
    Price("1V100.6V", False, 0.14, "USD", "V100, 16 GB", "Verda's price list, read 2026-01-12"),
    Price("CPU.8V.32G", False, 0.0474, "EUR", "none", _CPU),
    Price("CPU.4V.16G", True, 0.0082, "EUR", "none", "bill of 2026-02-16"),
)

SHARED_FILESYSTEM_GB_HOUR = 0.01168 / 50
"""Euros for one GB of shared file system and one hour: 0.01168 per 50 GB, on bills of January and February 2026."""

BILLING_STEP_MINUTES = 10
"""Verda bills machines in steps of ten minutes, also while they are switched off."""


def price_of(instance_type: str, is_spot: bool) -> Price | None:
    """The price of this type on this market, None where none is known: then ask Verda's own list."""
    return next((price for price in PRICES if (price.instance_type, price.is_spot) == (instance_type, is_spot)), None)
