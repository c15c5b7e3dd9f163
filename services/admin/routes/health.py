"""Whether the process is alive, for its host."""

from fastapi import APIRouter

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The one route without a visitor."""
    return {"status": "alive"}
