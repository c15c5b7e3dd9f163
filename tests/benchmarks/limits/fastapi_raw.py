"""The plain peer of a submit: a FastAPI handler that leaves the workflow as bytes, over redis-py's own pool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from redis.asyncio import Redis

from tests.benchmarks.limits.intake import ENQUEUE, decode, keys_of, new_id, now_ms


def create_app(redis_port: int) -> FastAPI:
    """POST /api/jobs: 202 with the job's id and number."""
    redis: Redis = Redis(port=redis_port)
    script = redis.register_script(ENQUEUE)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        script.sha = await redis.script_load(ENQUEUE)
        yield
        await redis.aclose()

    app = FastAPI(lifespan=lifespan)

    async def submit(request: Request) -> JSONResponse:
        workflow = decode(await request.body()).workflow
        job, owner = new_id(), "someone"
        pipeline = redis.pipeline(transaction=False)
        pipeline.set(f"limit:body:{job}", bytes(workflow))
        pipeline.evalsha(script.sha, 4, *keys_of(job, owner), job, owner, now_ms())
        answers: list[Any] = await pipeline.execute()
        return JSONResponse({"id": job, "number": answers[1], "state": "queued"}, status_code=202)

    app.post("/api/jobs")(submit)
    return app
