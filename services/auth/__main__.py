"""`python -m services.auth`: serve the sign-in, or change who may sign in while it runs."""

import sys
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError

from services.auth.accounts import Accounts, new_password
from services.auth.app import create_app
from services.auth.sessions import create_keys_file, rotate_keys
from services.auth.settings import AuthSettings
from services.domain.errors import InvalidInput, WorkshopError
from services.domain.names import Role, is_name

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
RoleOption = Annotated[Role, typer.Option(help="What the account allows.")]
NameArgument = Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens, such as user001.")]


def _settings() -> AuthSettings:
    try:
        return AuthSettings()
    except ValidationError as error:
        fields = ", ".join(f"AUTH_{'_'.join(map(str, item['loc'])).upper()}" for item in error.errors())
        raise InvalidInput(f"{fields}: missing or not usable; set it in the environment.") from error


@cli.command()
def serve() -> None:
    """Answer the front door until told to stop."""
    settings = _settings()
    create_keys_file(settings.session_keys_file)
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, access_log=False, server_header=False)


@cli.command()
def add(
    names: Annotated[list[str], typer.Argument(help="Lower-case letters, digits and hyphens, such as user001.")],
    role: RoleOption = Role.PARTICIPANT,
) -> None:
    """Create accounts and print each name with its new password, once."""
    for name in names:
        if not is_name(name):
            raise InvalidInput(f"name: '{name}' is not usable; take lower-case letters, digits and hyphens.")
    accounts = Accounts(_settings().accounts_dir)
    for name in names:
        password = new_password()
        accounts.add(name, role, password)
        typer.echo(f"{name}\t{password}")


@cli.command()
def rekey(name: NameArgument) -> None:
    """Give one account a new password, print it, and end that person's sessions; nobody else notices."""
    password = new_password()
    Accounts(_settings().accounts_dir).change_password(name, password)
    typer.echo(password)


@cli.command()
def remove(name: NameArgument) -> None:
    """Remove one account and end its sessions."""
    Accounts(_settings().accounts_dir).remove(name)


@cli.command("rotate-keys")
def rotate_session_keys() -> None:
    """Put a new signing key in front; sessions signed with the one before stay good until the next rotation."""
    rotate_keys(_settings().session_keys_file)


def main() -> None:
    """Run, and turn a refusal into one sentence and its exit code."""
    try:
        cli()
    except WorkshopError as error:
        typer.echo(error.message, err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
