"""A disciplined client of Verda's API over the official SDK; knows nothing of Pulumi.

Every create looks for its unique name first, and again when the answer was lost ("500 but created"): a name is rented
once. Deletes are done when the thing is gone, also when somebody else removed it. Calls that the SDK lacks, and words
of the API that it does not know, are in `client/`. Errors are `errors.py`'s, with no secret in them.
"""

import os

from infra.verda.client.account import Account
from infra.verda.client.machines import Machines
from infra.verda.client.serverless import Serverless
from infra.verda.client.transport import ANSWER_SECONDS, Transport
from infra.verda.client.volumes import Volumes
from infra.verda.waiting import Clock, SystemClock

BASE_URL = "https://api.verda.com/v1"
BASE_URL_VARIABLE = "VERDA_BASE_URL"


class VerdaApi:
    """Verda, as this project needs it. Safe to use from several threads; raises VerdaError only."""

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        base_url: str | None = None,
        clock: Clock | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Costs nothing: signs in with the first request. `answer_seconds` bounds the silence between two bytes."""
        self.clock: Clock = clock or SystemClock()
        address = (base_url or os.environ.get(BASE_URL_VARIABLE) or BASE_URL).rstrip("/")
        http = Transport(client_id, client_secret, address, clock=self.clock, answer_seconds=answer_seconds)
        self.account = Account(http, self.clock)
        self.volumes = Volumes(http, self.clock)
        self.machines = Machines(http, self.clock, self.volumes)
        self.serverless = Serverless(http, self.clock)
