"""How long it will take, from measured run times. Pure functions; no measurement, no estimate.

A cold start is counted where it will happen: a job whose models no worker has loaded takes as long as such jobs took,
and where that was never measured there is no estimate rather than a friendly one.
"""

from services.queue_manager.repository import Place


def eta_seconds(place: Place, fitting: int, busy: int, loaded: bool) -> float | None:
    """Expected seconds until a waiting job has ended; None when it cannot be said.

    `fitting`: workers that lease from the job's pool; `busy`: how many of them run something;
    `loaded`: one of them has the job's models loaded, or it needs none.
    """
    own = place.own_ms if loaded else place.cold_ms
    if own is None or place.mean_ms is None or fitting == 0:
        return None
    # Running jobs are half done on average; a free worker starts at once.
    ahead = place.position * place.mean_ms + busy * place.mean_ms / 2
    wait = ahead / fitting if place.position or busy >= fitting else 0.0
    return round((wait + own) / 1000, 1)
