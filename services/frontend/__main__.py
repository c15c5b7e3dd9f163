"""`python -m services.frontend`: serve one participant's web UI until told to stop."""

import sys

from aiohttp import web
from pydantic import ValidationError

from services.frontend.app import create_app
from services.frontend.settings import FrontendSettings
from services.kit.logs import configure_logs, get_logger


def main() -> None:
    """Read the environment and serve."""
    try:
        settings = FrontendSettings()
    except ValidationError as error:
        fields = ", ".join(f"FRONTEND_{'_'.join(map(str, item['loc'])).upper()}" for item in error.errors())
        sys.exit(f"{fields}: missing or not usable; set it in the environment.")
    configure_logs()
    get_logger("services.frontend").info(
        "serving", participant=settings.participant, host=settings.host, port=settings.port
    )
    web.run_app(create_app(settings), host=settings.host, port=settings.port, access_log=None, print=None)


if __name__ == "__main__":
    main()
