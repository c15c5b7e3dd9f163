"""What all of Verda's dynamic resources share: the client, plain refusals, and which inputs replace or update.

A provider is stored in the state as module and class name only: it holds nothing, credentials come with `configure`
from the stack's configuration. Modules and class names are therefore promises (tests/unit/verda pins them).
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from pulumi.dynamic import ConfigureRequest, CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult
from pulumi.runtime.rpc import UNKNOWN

from infra.verda.api import VerdaApi
from infra.verda.errors import CredentialsRefused
from services.domain.errors import WorkshopError

Props = dict[str, Any]
T = TypeVar("T")

GONE = ReadResult(None, {})
"""What a refresh answers for a thing that Verda no longer has: the next `up` makes it anew."""


class VerdaProvider(ResourceProvider):
    """Subclasses say what replaces and updates, and implement make, look, change and unmake."""

    serialize_as_secret_always = False

    replaces: ClassVar[tuple[str, ...]] = ()
    updates: ClassVar[tuple[str, ...]] = ()
    delete_before_replace: ClassVar[bool] = False

    _api: VerdaApi | None = None
    _private_key: str = ""

    def configure(self, req: ConfigureRequest) -> None:
        """Called once in the engine's provider process, with the stack's decrypted configuration."""
        client_id, client_secret = (req.config.get(f"comfyume:verda_client_{part}") for part in ("id", "secret"))
        if client_id and client_secret:
            self._api = VerdaApi(client_id, client_secret)
        self._private_key = req.config.get("comfyume:operator_private_key") or ""

    @property
    def api(self) -> VerdaApi:
        if self._api is None:
            raise CredentialsRefused(
                "verda_client_id, verda_client_secret: are not set for this stack; set both with "
                "`pulumi config set --secret comfyume:verda_client_id` and `... comfyume:verda_client_secret`."
            )
        return self._api

    # -- what the engine calls ----------------------------------------------------------------------------------------

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        replaces = [name for name in self.replaces if olds.get(name) != news.get(name)]
        changed = any(olds.get(name) != news.get(name) for name in self.updates)
        return DiffResult(
            changes=bool(replaces) or changed or self.is_unfinished(olds),
            replaces=replaces,
            delete_before_replace=self.delete_before_replace,
        )

    def create(self, props: Props) -> CreateResult:
        return plainly(lambda: self.make(props))

    def read(self, id_: str, props: Props) -> ReadResult:
        return plainly(lambda: self.look(id_, props))

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        return plainly(lambda: self.change(id_, olds, news))

    def delete(self, id_: str, props: Props) -> None:
        plainly(lambda: self.unmake(id_, props))

    # -- what each resource is ----------------------------------------------------------------------------------------

    def is_unfinished(self, olds: Props) -> bool:
        """Whether what stands in the state still lacks something that an update would bring."""
        return False

    def make(self, props: Props) -> CreateResult:
        raise NotImplementedError

    def look(self, id_: str, props: Props) -> ReadResult:
        raise NotImplementedError

    def change(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult({**olds, **news})

    def unmake(self, id_: str, props: Props) -> None:
        raise NotImplementedError


def plainly(act: Callable[[], T]) -> T:
    """Run `act`; its refusal reaches the operator as one sentence, without the stack that led to it."""
    try:
        return act()
    except WorkshopError as refused:
        raise type(refused)(refused.message) from None


def known(value: object) -> bool:
    """Whether a preview knows this value already."""
    return value is not None and value != UNKNOWN
