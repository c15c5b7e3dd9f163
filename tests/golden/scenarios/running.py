"""Prompts that run: success, cache, error, interrupt, previews, texts, several sockets."""

from tests.golden.driver import Session
from tests.golden.scenarios.catalogue import colour_of, empty_saved, idle, node, scenario, slow


@scenario
async def success(session: Session) -> None:
    """A picture is made and saved; everything that can be read about it afterwards."""
    viewer = await session.viewer()
    await session.prompt(empty_saved(session))
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/api/jobs/{session.job()}")
    await session.get(f"/view?filename={session.name}_00001_.png&type=output")
    await session.get("/queue")
    await session.get("/prompt")


@scenario
async def success_with_workflow(session: Session) -> None:
    """The UI's own extra data: it is kept in history and in the PNG, credentials are not."""
    viewer = await session.viewer()
    extra = {
        "extra_pnginfo": {"workflow": {"id": "0b6b0d8e-0000-4000-8000-000000000001", "nodes": []}},
        "api_key_comfy_org": "not to be kept",
        "auth_token_comfy_org": "not to be kept either",
    }
    await session.prompt(empty_saved(session), extra_data=extra)
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/api/jobs/{session.job()}")
    await session.get(f"/view?filename={session.name}_00001_.png")


@scenario
async def saved_in_subfolder(session: Session) -> None:
    """A prefix with folders and words; two pictures of one batch."""
    viewer = await session.viewer()
    graph = {
        "a": node("EmptyImage", width=8, height=8, batch_size=2, color=colour_of(session.name)),
        "b": node("SaveImage", images=["a", 0], filename_prefix=f"{session.name}/deep/%width%x%height%"),
    }
    await session.prompt(graph)
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/view?filename=8x8_00002_.png&subfolder={session.name}%2Fdeep")


@scenario
async def cached_rerun(session: Session) -> None:
    """The same graph again is answered from the cache and names the first run's file."""
    viewer = await session.viewer()
    for job in (1, 2):
        await session.prompt(empty_saved(session), job)
        await viewer.until_over(session.job(job))
        await session.get(f"/history/{session.job(job)}")


@scenario
async def partly_cached(session: Session) -> None:
    """Another file name: only the saving node runs again."""
    viewer = await session.viewer()
    for job in (1, 2):
        graph = empty_saved(session)
        graph["2"]["inputs"]["filename_prefix"] = f"{session.name}{job}"
        await session.prompt(graph, job)
        await viewer.until_over(session.job(job))
    await session.get(f"/history/{session.job(2)}")


@scenario
async def freed_rerun(session: Session) -> None:
    """After /free with free_memory nothing is cached any more."""
    viewer = await session.viewer()
    await session.prompt(empty_saved(session), 1)
    await viewer.until_over(session.job(1))
    await session.post("/free", {"unload_models": True, "free_memory": True})
    await session.prompt(
        slow(0.0, image=["2", 0]) | {"2": node("EmptyImage", width=1, height=1, batch_size=1, color=1)}, 2
    )
    await viewer.until_over(session.job(2))
    await session.prompt(empty_saved(session), 3)
    await viewer.until_over(session.job(3))


@scenario
async def node_error(session: Session) -> None:
    """A node raises: execution_error instead of execution_success, and an error state in the history."""
    viewer = await session.viewer()
    graph = {
        "1": node("EmptyImage", width=4, height=4, batch_size=1, color=colour_of(session.name)),
        "2": node("RehearsalError", message="broken on purpose", image=["1", 0]),
    }
    await session.prompt(graph)
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/api/jobs/{session.job()}")
    await session.get("/queue")


@scenario
async def error_then_same_again(session: Session) -> None:
    """What ran before the error is cached when the prompt is sent again."""
    viewer = await session.viewer()
    graph = {
        "1": node("EmptyImage", width=4, height=4, batch_size=1, color=colour_of(session.name)),
        "2": node("RehearsalError", message="again", image=["1", 0]),
    }
    for job in (1, 2):
        await session.prompt(graph, job)
        await viewer.until_over(session.job(job))


@scenario
async def interrupted_by_id(session: Session) -> None:
    """POST /interrupt with the running prompt's id stops it; another id stops nothing."""
    viewer = await session.viewer()
    await session.prompt(slow())
    await viewer.until("executing", session.job())
    await session.post("/interrupt", {"prompt_id": session.job(9)})
    await session.get("/queue")
    await session.get(f"/api/jobs/{session.job()}")
    await session.post("/interrupt", {"prompt_id": session.job()})
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/api/jobs/{session.job()}")


@scenario
async def interrupted_without_id(session: Session) -> None:
    """POST /interrupt without a body stops whatever runs."""
    viewer = await session.viewer()
    await session.prompt(slow())
    await viewer.until("executing", session.job())
    await session.post("/interrupt")
    await viewer.until_over(session.job())


@scenario
async def interrupt_when_idle(session: Session) -> None:
    """An interrupt that comes too early does not stop the next prompt."""
    viewer = await session.viewer()
    await session.post("/interrupt", {})
    await session.prompt(empty_saved(session))
    await viewer.until_over(session.job())


@scenario
async def interrupted_broadcast(session: Session) -> None:
    """The interrupt of a prompt without client id is told to everybody."""
    viewer = await session.viewer()
    await session.post("/prompt", {"prompt": slow(), "prompt_id": session.job()})
    await viewer.until("progress_state", session.job())
    await session.post("/interrupt", {"prompt_id": session.job()})
    await viewer.until(idle)


@scenario
async def progress_and_previews(session: Session) -> None:
    """Previews with metadata (binary type 4) for a client that said it understands them; text (type 3)."""
    viewer = await session.viewer()
    graph = slow(0.3, steps=3, preview=True, text="three steps", image=["7", 0]) | {
        "7": node("EmptyImage", width=4, height=4, batch_size=1, color=colour_of(session.name))
    }
    await session.prompt(graph)
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")


@scenario
async def old_previews(session: Session) -> None:
    """Previews without metadata (binary type 1) for a client that said nothing."""
    viewer = await session.viewer(flags=False)
    await session.prompt(slow(0.2, steps=2, preview=True))
    await viewer.until_over(session.job())


@scenario
async def progress_without_previews(session: Session) -> None:
    """Two steps, no picture."""
    viewer = await session.viewer()
    await session.prompt(slow(0.02, steps=2))
    await viewer.until_over(session.job())


@scenario
async def second_socket(session: Session) -> None:
    """A second socket with the same client id takes over; while a node runs it is told which."""
    first = await session.viewer("first")
    await session.prompt(slow())
    await first.until("executing", session.job())
    second = await session.viewer("second", flags=False)
    await second.until("executing")
    await session.post("/interrupt", {"prompt_id": session.job()})
    await second.until_over(session.job())


@scenario
async def other_client_hears_status_only(session: Session) -> None:
    """Messages of a prompt go to its own client; everybody hears how many wait."""
    stranger = await session.viewer("stranger", client_id=f"other-{session.client_id}")
    owner = await session.viewer("owner")
    await session.prompt(empty_saved(session))
    await owner.until_over(session.job())
    await stranger.until(idle)


@scenario
async def server_names_the_client(session: Session) -> None:
    """Without a client id the server invents one; without a prompt id, too."""
    viewer = await session.viewer(client_id=None)
    answer = await session.post("/prompt", {"prompt": empty_saved(session)})
    await viewer.until(idle)
    await session.get(f"/history/{answer['prompt_id']}")


@scenario
async def odd_messages(session: Session) -> None:
    """What a client sends that is no feature_flags first message is not answered."""
    viewer = await session.viewer(flags=False)
    await viewer.send("no json")
    await viewer.send({"type": "hello", "data": {}})
    await viewer.send({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
    await session.prompt(slow(0.02, preview=True))
    await viewer.until_over(session.job())


@scenario
async def partial_execution(session: Session) -> None:
    """Only the asked-for output runs."""
    viewer = await session.viewer()
    graph = empty_saved(session) | {"3": node("SaveImage", images=["1", 0], filename_prefix=f"{session.name}-other")}
    await session.prompt(graph, partial_execution_targets=["3"])
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")


@scenario
async def one_good_output(session: Session) -> None:
    """An invalid output is told in node_errors and left out; the valid one runs."""
    viewer = await session.viewer()
    graph = empty_saved(session) | {"3": node("SaveImage", filename_prefix="nothing to save")}
    await session.prompt(graph)
    await viewer.until_over(session.job())


@scenario
async def values_are_converted(session: Session) -> None:
    """Numbers as text, a wrapped value and an unused input are taken; the history shows the converted graph."""
    viewer = await session.viewer()
    graph = empty_saved(session)
    graph["1"]["inputs"] |= {"width": "12", "height": 6.9, "batch_size": True, "unknown": 1}
    graph["2"]["inputs"]["filename_prefix"] = {"__value__": session.name}
    await session.prompt(graph)
    await viewer.until_over(session.job())
    await session.get(f"/history/{session.job()}")
    await session.get(f"/view?filename={session.name}_00001_.png")


@scenario
async def prefix_leaves_the_folder(session: Session) -> None:
    """A file name prefix that leads out of the output folder is refused when the node runs."""
    viewer = await session.viewer()
    graph = empty_saved(session)
    graph["2"]["inputs"]["filename_prefix"] = "../outside"
    await session.prompt(graph)
    await viewer.until_over(session.job())
