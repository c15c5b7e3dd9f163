"""The queue seen from outside: order, cancelling, deleting, history, the jobs routes, machine-readable descriptions."""

from tests.golden.driver import Session, Viewer
from tests.golden.scenarios.catalogue import empty_saved, idle, scenario, slow


async def three_waiting(session: Session) -> Viewer:
    """One prompt that runs until it is stopped (job 1) and jobs 2 to 4 behind it."""
    viewer = await session.viewer()
    await session.prompt(slow())
    await viewer.until("executing", session.job())
    for job in (2, 3, 4):
        graph = empty_saved(session)
        graph["2"]["inputs"]["filename_prefix"] = f"{session.name}{job}"
        await session.prompt(graph, job)
        await viewer.until("status")
    return viewer


@scenario
async def queue_and_order(session: Session) -> None:
    """What waits is shown, and runs, smallest number first; `front` and `number` change the order."""
    viewer = await three_waiting(session)
    await session.prompt(slow(0.01), 5, front=True)
    await viewer.until("status")
    await session.prompt(slow(0.02), 6, number=-5000.5)
    await viewer.until("status")
    queue = await session.look("/queue")
    queue["queue_pending"].sort(key=lambda item: item[0])
    session.record({"sorted": queue})
    await session.get("/prompt")
    await session.post("/api/jobs/cancel", {"job_ids": [session.job(1)]})
    for job in (1, 6, 5, 2, 3, 4):
        await viewer.until_over(session.job(job))


@scenario
async def cancel_while_waiting(session: Session) -> None:
    """The jobs route cancels a waiting prompt: no message but `status`, no history."""
    viewer = await three_waiting(session)
    await session.get(f"/api/jobs/{session.job(3)}")
    await session.post(f"/api/jobs/{session.job(3)}/cancel")
    await viewer.until("status")
    await session.get(f"/api/jobs/{session.job(3)}")
    await session.get(f"/history/{session.job(3)}")
    await session.post("/api/jobs/cancel", {"job_ids": [session.job(2), session.job(4)]})
    await session.post(f"/api/jobs/{session.job(1)}/cancel")
    await viewer.until_over(session.job(1))


@scenario
async def delete_from_queue(session: Session) -> None:
    """POST /queue deletes waiting prompts only; `clear` drops all that wait."""
    viewer = await three_waiting(session)
    await session.post("/queue", {"delete": [session.job(3), session.job(1), session.job(9)]})
    await viewer.until("status")
    await session.get("/prompt")
    await session.post("/queue", {"clear": True})
    await viewer.until("status")
    await session.get("/queue")
    await session.post("/interrupt", {"prompt_id": session.job(1)})
    await viewer.until_over(session.job(1))


@scenario
async def cancel_routes(session: Session) -> None:
    """Finished, unknown and malformed ids on the cancel routes."""
    viewer = await session.viewer()
    await session.prompt(empty_saved(session))
    await viewer.until_over(session.job())
    await session.post(f"/api/jobs/{session.job()}/cancel")
    await session.post(f"/api/jobs/{session.job(8)}/cancel")
    await session.post("/api/jobs/no-uuid/cancel")
    await session.post("/api/jobs/cancel", {"job_ids": [session.job(), session.job(8)]})
    await session.post("/api/jobs/cancel", {"job_ids": ["no-uuid", 5]})
    await session.post("/api/jobs/cancel", {"job_ids": "all"})
    await session.post("/api/jobs/cancel", {})
    await session.post("/api/jobs/cancel", raw=b"{")


@scenario
async def jobs_list(session: Session) -> None:
    """Filters, order and pages of /api/jobs, and its refusals."""
    await session.post("/history", {"clear": True})
    viewer = await session.viewer()
    for job, graph in ((1, empty_saved(session)), (2, slow(0.05)), (3, slow())):
        await session.prompt(graph, job)
        await viewer.until("executing", session.job(job))
        if job < 3:
            await viewer.until_over(session.job(job))
    await session.prompt(slow(0.01), 4)
    await viewer.until("status")
    await session.get("/api/jobs")
    await session.get("/api/jobs?status=in_progress,pending&sort_order=asc")
    await session.get("/api/jobs?status=completed&limit=1&offset=1")
    await session.get("/api/jobs?limit=2&sort_order=asc")
    await session.get("/api/jobs?offset=-3&limit=50&status=failed,cancelled")
    for bad in ("status=lost", "limit=0", "limit=x", "offset=x", "sort_by=name", "sort_order=up"):
        await session.get(f"/api/jobs?{bad}")
    await session.get(f"/api/jobs/{session.job(9)}")
    await session.post("/api/jobs/cancel", {"job_ids": [session.job(3)]})
    await viewer.until_over(session.job(3))
    await viewer.until_over(session.job(4))
    await session.get("/api/jobs?status=cancelled")


@scenario
async def jobs_by_workflow(session: Session) -> None:
    """The UI's workflow id is a filter."""
    viewer = await session.viewer()
    workflow = {"extra_pnginfo": {"workflow": {"id": "6d6a3a52-0000-4000-8000-000000000002"}}}
    await session.prompt(empty_saved(session), extra_data=workflow)
    await viewer.until_over(session.job())
    await session.get("/api/jobs?workflow_id=6d6a3a52-0000-4000-8000-000000000002")
    await session.get("/api/jobs?workflow_id=other")


@scenario
async def history_routes(session: Session) -> None:
    """Pages, deleting and clearing of /history."""
    await session.post("/history", {"clear": True})
    viewer = await session.viewer()
    for job in (1, 2, 3):
        await session.prompt(slow(0.01 * job), job)
        await viewer.until_over(session.job(job))
    await session.get("/history")
    await session.get("/history?max_items=2")
    await session.get("/history?max_items=1&offset=0")
    await session.get("/history?offset=1")
    await session.get("/history?max_items=0")
    await session.get("/history/unknown")
    await session.post("/history", {"delete": [session.job(2), "unknown"]})
    await session.get("/history?max_items=64")
    await session.post("/history", {"clear": True})
    await session.get("/api/history")


@scenario
async def same_id_twice(session: Session) -> None:
    """A second prompt with the id of a finished one is taken; its end replaces the first one's in the history."""
    viewer = await session.viewer()
    for seconds in (0.01, 0.03):
        await session.prompt(slow(seconds))
        await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")


@scenario
async def without_socket(session: Session) -> None:
    """A prompt whose client is not connected runs all the same."""
    viewer = await session.viewer("other", client_id=f"other-{session.client_id}")
    await session.prompt(empty_saved(session))
    await viewer.until(idle)
    await session.get(f"/history/{session.job()}")


@scenario
async def descriptions(session: Session) -> None:
    """What a server says about itself and its nodes."""
    await session.get("/features")
    await session.get("/system_stats", only_shape=True)
    await session.get("/embeddings")
    await session.get("/models/no-such-folder")
    await session.get("/object_info/NoSuchNode")
    for name in ("EmptyImage", "ImageScale", "ImageInvert", "SaveImage", "PreviewImage", "KSampler"):
        await session.get(f"/object_info/{name}")
        await session.get(f"/api/object_info/{name}")


@scenario
async def wrong_requests(session: Session) -> None:
    """Methods and bodies the routes do not know."""
    await session.post("/prompt", raw=b"{")
    await session.post("/prompt", [])
    await session.post("/queue", raw=b"no json")
    await session.post("/queue", {})
    await session.post("/history", {})
    await session.post("/free", {})
    await session.post("/interrupt", raw=b"no json")
    await session.post("/view", {})
    await session.get("/no-such-route")
    await session.get("/history?max_items=x")
