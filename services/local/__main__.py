"""`python -m services.local up | status | down`: the workshop on this machine."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.domain.errors import WorkshopError
from services.local.folder import WorkshopFolder
from services.local.front_door import new_password, prepare_front_door, require_front_door_programs
from services.local.parts import REPOSITORY, Part, parts_of, write_redis_config
from services.local.probes import Probes, require_free_ports, require_redis_server
from services.local.runner import Runner
from services.local.running import end_leftovers, held_lock, read_running, runner_of
from services.local.settings import WorkshopSettings, read_settings

FIRST_JOB = REPOSITORY / "services" / "local" / "examples" / "first-job" / "workflow.json"

app = typer.Typer(
    help="The workshop on this machine. Exit codes: 0 done, 1 failed or refused, 2 wrong setting, 4 something missing.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False, soft_wrap=True)


def _folder_of(settings: WorkshopSettings) -> WorkshopFolder:
    return WorkshopFolder(settings.folder.absolute())


def _prepare(settings: WorkshopSettings, folder: WorkshopFolder) -> list[Part]:
    """Make everything that the parts find when they start, and return them."""
    folder.ensure_credentials(settings.participants, settings.workers)
    write_redis_config(settings, folder)
    prepare_front_door(settings, folder)
    return parts_of(settings, folder)


@app.command()
def up() -> None:
    """Start the workshop and stay until Ctrl-C, which stops everything in order."""
    settings = read_settings()
    folder = _folder_of(settings)
    require_redis_server()
    require_front_door_programs()
    os.umask(0o077)
    folder.ensure()
    with held_lock(folder):
        end_leftovers(folder, out.print)
        require_free_ports(settings)
        runner = Runner(settings, folder, lambda: _prepare(settings, folder))
        runner.listen_to_signals()
        try:
            runner.start()
            if not runner.stopping:
                _announce(settings, folder)
            runner.watch()
        finally:
            runner.stop()


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Answer with JSON.")] = False) -> None:
    """Say what of the workshop runs, and where. Exit code 1 unless all of it is ready."""
    settings = read_settings()
    folder = _folder_of(settings)
    rows = _states(settings, folder)
    if as_json:
        out.file.write(json.dumps(rows, indent=2) + "\n")
    elif not rows:
        out.print("The workshop does not run. `make up` starts it.")
    else:
        _print_table(("part", "state", "where", "process"), [tuple(row.values()) for row in rows])
    raise typer.Exit(0 if rows and all(row["state"] == "ready" for row in rows) else 1)


@app.command()
def password(name: Annotated[str, typer.Argument(help="Whose password is to be changed.")]) -> None:
    """Give one person a new password, print it, and end that person's sessions; nobody else notices."""
    settings = read_settings()
    out.print(new_password(settings, _folder_of(settings), name), markup=False)


@app.command()
def down() -> None:
    """Stop the workshop that runs here, in order; also what a killed one left behind."""
    settings = read_settings()
    folder = _folder_of(settings)
    runner = runner_of(folder)
    if runner is not None:
        out.print("Stopping; a running job may finish first.")
        runner.terminate()
        runner.wait()
        out.print("Stopped.")
    elif read_running(folder) is None:
        out.print("The workshop does not run.")
    else:
        with held_lock(folder):
            end_leftovers(folder, out.print)
        out.print("Nothing of the workshop runs.")


def _states(settings: WorkshopSettings, folder: WorkshopFolder) -> list[dict[str, str]]:
    running = read_running(folder)
    if running is None or not running.parts:
        return []
    probes = Probes(settings, folder)
    alive = {one.name: one for one in running.parts if one.process() is not None}
    rows = []
    for part in parts_of(settings, folder):
        one = alive.get(part.name)
        state = "down" if one is None else "ready" if probes.ready(part, int(one.started * 1000)) else "not ready"
        rows.append({"part": part.name, "state": state, "where": part.place, "process": str(one.pid) if one else ""})
    return rows


def _print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(columns))
    for column in columns or rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table, soft_wrap=True)


def _announce(settings: WorkshopSettings, folder: WorkshopFolder) -> None:
    """Print where everything is and the line that submits the first job."""
    rehearsal = settings.comfyui_dir is None and settings.comfyui_url is None
    out.print(
        "\nThe workshop is up." + (" It rehearses: no model runs, and every picture says so." if rehearsal else "")
    )
    _print_table(
        ("what", "where"),
        [
            ("front door", settings.door_url),
            ("queue manager", settings.url),
            ("data", _shown(folder.path)),
            ("logs", _shown(folder.logs)),
            ("credentials", _shown(folder.credentials)),
            ("passwords", _shown(folder.sign_in)),
        ],
    )
    people = json.loads(folder.sign_in.read_text(encoding="utf-8"))
    out.print("\nOpen your workspace in a browser (its certificate is home-made: the browser asks once):\n")
    rows = [(str(one["name"]), str(one["address"]), str(one["password"])) for one in people]
    _print_table(("name", "address", "password"), rows)
    command = _shown(Path(sys.executable).with_name("comfyume"))
    out.print("\nSubmit the first job from another terminal:\n")
    out.print(f"  {command} submit {_shown(FIRST_JOB)} --output-dir out\n", markup=False)
    out.print("Ctrl-C stops the workshop; its queue is there again at the next `make up`.\n")


def _shown(path: Path) -> str:
    """Return the path as one would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> NoReturn:
    """Run a verb and leave with the exit code that belongs to the outcome."""
    try:
        app(prog_name="python -m services.local")
    except WorkshopError as error:
        print(error.message, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
