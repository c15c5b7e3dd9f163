"""`comfyume queue`: the room as the instructor sees and steers it."""

from typing import Annotated, Any

import typer

from services.cli.connection import connect
from services.cli.jobs import JobView, find_id
from services.cli.options import AsJson, AsName, OneJob
from services.cli.render import print_json, print_table, say
from services.cli.watch import describe
from services.domain.errors import InvalidInput
from services.domain.job import Discipline, Priority
from services.domain.names import Role
from services.kit.api_client import path_of

app = typer.Typer(help="See and steer the room (instructor).", invoke_without_command=True)


@app.callback()
def show(context: typer.Context, as_name: AsName = "", as_json: AsJson = False) -> None:
    """See and steer the room (instructor). Without a further word: show it."""
    if context.invoked_subcommand is not None:
        return
    room = connect(Role.INSTRUCTOR, as_name).api.get("/api/queue")
    if as_json:
        print_json(room)
        return
    held = "paused" if room.get("paused") else "draining" if room.get("draining") else "open"
    say(f"{room['discipline']}, {held}: {room['waiting']} waiting, {room['running']} running")
    caps = room.get("caps")
    if caps:
        say(f"Caps for each participant: {caps['waiting']} waiting, {caps['running']} running while others wait")
    rows = [
        (who["name"], str(who["waiting"]), str(who["running"]), str(who["ended_today"]))
        for who in room.get("participants", [])
    ]
    print_table(("participant", "waiting", "running", "ended today"), rows, empty="Nobody has submitted anything yet.")


def _put(name: str, body: dict[str, Any], sentence: str, *, as_name: str) -> None:
    connect(Role.INSTRUCTOR, as_name).api.send("PUT", f"/api/queue/{name}", json=body)
    say(sentence)


@app.command()
def discipline(rule: Annotated[Discipline, typer.Argument(help="Who goes next.")], as_name: AsName = "") -> None:
    """Choose who goes next; effective at once, for waiting jobs too."""
    _put("discipline", {"discipline": rule}, f"The discipline is {rule}.", as_name=as_name)


@app.command()
def pause(as_name: AsName = "") -> None:
    """Start no further jobs; running ones finish."""
    _put("paused", {"paused": True}, "Paused. Go on with: comfyume queue resume", as_name=as_name)


@app.command()
def resume(as_name: AsName = "") -> None:
    """Start jobs again, after pause or drain."""
    api = connect(Role.INSTRUCTOR, as_name).api
    api.send("PUT", "/api/queue/draining", json={"draining": False})
    api.send("PUT", "/api/queue/paused", json={"paused": False})
    say("Jobs start again.")


@app.command()
def drain(as_name: AsName = "") -> None:
    """Let running jobs finish and start no others, and say so to those who submit."""
    _put("draining", {"draining": True}, "Draining. Go on with: comfyume queue resume", as_name=as_name)


@app.command()
def caps(
    waiting: Annotated[int | None, typer.Option(min=0, help="Waiting jobs that a participant may have.")] = None,
    running: Annotated[int | None, typer.Option(min=1, help="Running jobs while others wait.")] = None,
    participant: Annotated[str, typer.Option(metavar="NAME", help="For this one only.")] = "",
    as_name: AsName = "",
) -> None:
    """Set how much one participant may have in the queue."""
    body = {key: value for key, value in (("waiting", waiting), ("running", running)) if value is not None}
    if not body:
        raise InvalidInput("Say what to change: --waiting N, --running N or both.")
    api = connect(Role.INSTRUCTOR, as_name).api
    if participant:
        api.send("PUT", path_of("api", "participants", participant, "caps"), json=body)
    else:
        api.send("PUT", "/api/queue/caps", json={**api.get("/api/queue")["caps"], **body})
    words = " and ".join(f"{value} {key}" for key, value in body.items())
    say(f"{participant or 'Everybody'} may have {words}.")


@app.command("new-session")
def new_session(as_name: AsName = "") -> None:
    """Forget who was served when: everybody begins alike."""
    connect(Role.INSTRUCTOR, as_name).api.send("POST", "/api/queue/session", repeatable=True)
    say("A new session has begun.")


@app.command("run-next")
def run_next(job: OneJob, as_name: AsName = "") -> None:
    """Let one waiting job overtake all others."""
    _steer(job, "run-next", as_name=as_name)


@app.command()
def preempt(job: OneJob, as_name: AsName = "") -> None:
    """Stop a running job and put it back to the front of its owner's line."""
    _steer(job, "preempt", as_name=as_name)


@app.command()
def priority(
    job: OneJob, rank: Annotated[Priority, typer.Argument(help="The job's class.")], as_name: AsName = ""
) -> None:
    """Set a job's class, which counts under the discipline `priority`."""
    api = connect(Role.INSTRUCTOR, as_name).api
    view = api.send("PUT", f"/api/jobs/{find_id(api, job)}/priority", json={"priority": rank})
    say(_sentence(view))


def _steer(job: str, verb: str, *, as_name: str) -> None:
    api = connect(Role.INSTRUCTOR, as_name).api
    say(_sentence(api.send("POST", f"/api/jobs/{find_id(api, job)}/{verb}", repeatable=True)))


def _sentence(answer: dict[str, Any]) -> str:
    job = JobView.model_validate(answer)
    return f"job {job.number} of {job.participant}: {describe(job)}"
