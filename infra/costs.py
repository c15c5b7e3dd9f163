"""What the machines cost, with the basis of each figure. Verda's prices are in `infra/verda/prices.py`."""

HOURS_A_MONTH = 730

HETZNER_EURO_A_MONTH = {"cax31": 12.49}
"""Euro without tax a month: Hetzner's price list as of 30 January 2026 (facts: predecessor, 6.3). Sizes whose price was
never looked up are missing on purpose, and shown as unknown."""


def hetzner_euro_an_hour(server_type: str) -> float | None:
    """Euro without tax an hour; None when nobody has looked the price up."""
    monthly = HETZNER_EURO_A_MONTH.get(server_type)
    return round(monthly / HOURS_A_MONTH, 4) if monthly is not None else None
