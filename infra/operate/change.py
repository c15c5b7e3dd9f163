"""One change of a stack from wish to deed: the edit, its preview, the question, the update, the words about it."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from infra.operate.deployment import Deployment, deployment
from infra.operate.desk import Desk
from infra.operate.refusals import NotNow, StackFailed
from infra.operate.session_hours import in_words, session_at, sessions_of
from infra.operate.stack_file import Edit
from infra.operate.summary import Summary, summary_of


def carry_out(desk: Desk, words: str, edit: Edit | None = None, *, may_create: bool = False) -> None:
    """Change the stack file with `edit`, show what follows, and update. `words` name the change in the history.

    A dry run stops after the preview. A change that the preview refuses, or that nobody agrees to, is taken back. Once
    the update has begun the stack file stays: it says what is wanted, and running the verb again goes on from there.

    Raises:
        NotNow: a session is going on, or the operator did not agree.
        StackFailed: preview or update failed.
    """
    message = words if desk.dry_run else message_of(desk, words)
    with ExitStack() as stack:
        keep = stack.enter_context(desk.file.changed(edit)) if edit else None
        deployed = stack.enter_context(deployment(desk.stack, desk.folder, may_create=may_create))
        planned = previewed(desk, deployed)
        if desk.dry_run:
            desk.show(planned, f"Dry run of {words}: {planned.counts()}. Nothing was changed.")
            return
        if not planned.changes:
            if keep:
                keep()
            desk.show(planned, f"{words}: nothing to do.")
            return
        ask_about(desk, planned, words)
        if keep:
            keep()
        done = summary_of(deployed.up(message, desk.show_step))
        finish(desk, done, words)


def message_of(desk: Desk, words: str) -> str:
    """What the history will say, with the session that was disturbed.

    Raises:
        NotNow: a session is going on and nobody insists.
    """
    session = session_at(sessions_of(desk.file.settings()), datetime.now(UTC))
    if session is None:
        return words
    if not desk.force:
        raise NotNow(
            f"A session is going on ({in_words(session)}), and an update may interrupt people. Wait for its end, look "
            "with DRY_RUN=1, or insist with FORCE=1, which the stack's history records."
        )
    return f"{words} (forced in session hours: {in_words(session)})"


def previewed(desk: Desk, deployed: Deployment) -> Summary:
    """What an update would do now.

    Raises:
        StackFailed: the program or a provider refuses.
    """
    planned = summary_of(deployed.preview())
    if planned.errors:
        raise StackFailed("\n".join([*planned.errors, "Nothing was changed."]))
    return planned


def ask_about(desk: Desk, planned: Summary, words: str) -> None:
    """A person is always asked; a script only has to say YES=1 where something is deleted or replaced."""
    names = ", ".join(change.name for change in planned.destroys)
    if (names or desk.asks) and not desk.as_json:
        desk.show(planned, f"{words}: {planned.counts()}.")
    if names:
        desk.agreed(f"This deletes or replaces {names}.")
    elif desk.asks:
        desk.agreed("Go on with this?")


def finish(desk: Desk, done: Summary, words: str, extra: dict[str, Any] | None = None) -> None:
    """Say what was done.

    Raises:
        StackFailed: not all of it was.
    """
    if done.errors:
        made = f"{len(done.changes)} resources were changed before that; run the same again to go on from there."
        raise StackFailed("\n".join([*done.errors, made]))
    desk.show(done, f"{words}: done.", extra)
