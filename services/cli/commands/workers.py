"""`comfyume workers`: the machines that run the jobs."""

from services.cli.connection import connect
from services.cli.options import AsJson, AsName
from services.cli.render import clock_text, print_json, print_table, state_text
from services.domain.names import Role


def workers(as_name: AsName = "", as_json: AsJson = False) -> None:
    """Show the workers and what they do (instructor, operator)."""
    known = connect(Role.INSTRUCTOR, as_name).api.get("/api/workers")
    if as_json:
        print_json(known)
        return
    rows = [
        (
            one["name"],
            state_text(one["state"]),
            (one.get("job") or "")[:8],
            "rehearsal" if one["rehearsal"] else one["comfyui_version"],
            clock_text(one["last_seen"]),
        )
        for one in known
    ]
    print_table(("worker", "state", "job", "ComfyUI", "last seen"), rows, empty="No worker has registered yet.")
