"""The verbs that change a stack: up, down, GPU hosts, people, rollback."""

from typing import Annotated

import typer

from infra.operate import fleet, people, rollback
from infra.operate.change import carry_out, finish, message_of
from infra.operate.deployment import deployment
from infra.operate.desk import Desk
from infra.operate.kept import kept_resources
from infra.operate.options import Verb, desk_of
from infra.operate.refusals import StackFailed
from infra.operate.stack_file import Edit
from infra.operate.summary import summary_of

app = typer.Typer()
Name = Annotated[str, typer.Argument(help="The person's name, as in her address.")]


@app.command()
def up(context: typer.Context) -> None:
    """Bring a stack into the state that its file describes."""
    carry_out(desk_of(context), "up", may_create=True)


@app.command("gpu-up")
def gpu_up(
    context: typer.Context, count: Annotated[int, typer.Argument(metavar="N", help="How many GPU hosts.")]
) -> None:
    """Rent GPU hosts; each restores itself."""
    if count < 1:
        fleet.count_set(-1)
    _fleet(desk_of(context), f"gpu-up N={count}", fleet.count_set(count))


@app.command("gpu-down")
def gpu_down(context: typer.Context) -> None:
    """Give all GPU hosts back; each is backed up first, and stays when its backup fails."""
    _fleet(desk_of(context), "gpu-down", fleet.count_set(0))


@app.command("switch-gpu")
def switch_gpu(
    context: typer.Context, instance_type: Annotated[str, typer.Argument(help="Verda's name, such as 1H200.141S.44V.")]
) -> None:
    """Take another type of GPU: hosts are backed up, given back and rented anew."""
    _fleet(desk_of(context), f"switch-gpu TYPE={instance_type}", fleet.type_set(instance_type))


def _fleet(desk: Desk, words: str, edit: Edit) -> None:
    settings = desk.file.settings()
    edit(settings)
    desk.note(fleet.in_words(settings))
    carry_out(desk, words, edit)


@app.command("person-add")
def person_add(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option(help="participant, instructor or operator.")] = "participant",
) -> None:
    """Give somebody a web UI and a password; nobody else notices."""
    carry_out(desk_of(context), f"person-add NAME={name} ROLE={role}", people.added(name, role))


@app.command("person-remove")
def person_remove(context: typer.Context, name: Name) -> None:
    """Take somebody's web UI, password and credential away; her files stay."""
    carry_out(desk_of(context), f"person-remove NAME={name}", people.removed(name))


@app.command("person-rekey")
def person_rekey(context: typer.Context, name: Name) -> None:
    """Give somebody a new password; only her sessions end."""
    carry_out(desk_of(context), f"person-rekey NAME={name}", people.rekeyed(name))


@app.command("rollback")
def roll_back(
    context: typer.Context,
    to: Annotated[int, typer.Argument(metavar="TO", help="The number of the update in `history`.")],
) -> None:
    """Take the settings of an earlier update back; secrets stay as they are, the program is git's business."""
    desk = desk_of(context)
    with deployment(desk.stack, desk.folder) as deployed:
        update = rollback.recorded(deployed.history(), to)
    warning = rollback.about_the_program(to, update, desk.folder)
    if warning:
        desk.note(warning)
    carry_out(desk, f"rollback TO={to}", rollback.restored(rollback.settings_of(update)))


@app.command()
def down(context: typer.Context) -> None:
    """Delete all that is not protected; GPU hosts back themselves up first, data stay. Asks for the stack's name."""
    verb: Verb = context.obj
    desk = desk_of(context)
    message = "down" if desk.dry_run else message_of(desk, "down")
    with deployment(desk.stack, desk.folder) as deployed:
        planned = summary_of(deployed.preview_destroy())
        if planned.errors:
            raise StackFailed("\n".join([*planned.errors, "Nothing was changed."]))
        kept = kept_resources(deployed.resources())
        if not desk.as_json:
            desk.show(planned, f"down: {planned.counts()}.")
            desk.note("This stays, and costs on:")
            desk.table(("kept", "is", "because it is", "price"), [(k.name, k.kind, k.why, k.price) for k in kept])
        if desk.dry_run:
            if desk.as_json:
                desk.show(planned, "", {"kept": [vars(thing) for thing in kept]})
            desk.note("Nothing was changed.")
            return
        if verb.confirm != desk.stack:
            desk.agreed("GPU hosts are backed up and given back, containers and web UIs end.", desk.stack, "CONFIRM")
        done = summary_of(deployed.destroy(message, desk.show_step))
        finish(desk, done, "down", {"kept": [vars(thing) for thing in kept]})
