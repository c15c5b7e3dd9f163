"""People come and go: one entry of the stack file each, so one person's resources and nobody else's change."""

from infra.operate.stack_file import Edit, Settings, section
from services.domain.errors import InvalidInput, NotFound
from services.domain.names import is_name

ROLES = ("participant", "instructor", "operator")


def added(name: str, role: str) -> Edit:
    """A new person; the password is made by the update (`passwords` shows it)."""
    if not is_name(name):
        raise InvalidInput(
            "NAME: has to be lower-case letters, digits and hyphens, a letter first, at most 32 characters."
        )
    if role not in ROLES:
        raise InvalidInput(f"ROLE: takes one of {', '.join(ROLES)}.")

    def edit(settings: Settings) -> None:
        if _section_with(settings, name):
            raise InvalidInput(f"NAME: {name} is there already; `make person-rekey NAME={name}` makes a new password.")
        if role == "participant":
            section(settings, "participants")[name] = {}
        else:
            section(settings, "staff")[name] = {"role": role}

    return edit


def removed(name: str) -> Edit:
    """Password, credential and web UI go; files and finished work stay on the data volume."""

    def edit(settings: Settings) -> None:
        del section(settings, _where(settings, name))[name]

    return edit


def rekeyed(name: str) -> Edit:
    """A new password for one person; her sessions end, everybody else's go on."""

    def edit(settings: Settings) -> None:
        people = section(settings, _where(settings, name))
        if people[name] is None:
            people[name] = {}
        people[name]["rekeyed"] = int(people[name].get("rekeyed", 0)) + 1

    return edit


def _where(settings: Settings, name: str) -> str:
    found = _section_with(settings, name)
    if not found:
        everybody = [*section(settings, "participants"), *section(settings, "staff")]
        raise NotFound(
            f"NAME: nobody is called {name!r} in this stack; there are {', '.join(everybody) or 'no people'}."
        )
    return found


def _section_with(settings: Settings, name: str) -> str | None:
    return next((kind for kind in ("participants", "staff") if name in section(settings, kind)), None)
