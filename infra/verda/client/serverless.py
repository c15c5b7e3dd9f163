"""Serverless: container deployments by name, and the secrets their environment refers to."""

from verda.containers import ContainersService, Deployment

from infra.verda import errors
from infra.verda.client.discipline import create_once, ignoring_gone, shows_up
from infra.verda.client.transport import Transport
from infra.verda.waiting import Clock, until

ACTION_SECONDS = 600.0


class Serverless:
    """The account's container deployments and secrets."""

    def __init__(self, http: Transport, clock: Clock) -> None:
        self._service = ContainersService(http)
        self._clock = clock

    def all(self) -> list[Deployment]:
        return list(self._service.get_deployments())

    def get(self, name: str) -> Deployment | None:
        try:
            found: Deployment = self._service.get_deployment_by_name(name)
        except errors.NotAtVerda:
            return None
        return found

    def ensure(self, wanted: Deployment) -> Deployment:
        """The deployment of this name as it is wanted: made, or brought up to date if it is there."""
        if self.get(wanted.name) is not None:
            return self._service.update_deployment(wanted.name, wanted)
        return create_once(lambda: self._service.create_deployment(wanted), lambda: self.get(wanted.name), self._clock)

    def delete(self, name: str, seconds: float = ACTION_SECONDS) -> None:
        """Delete it and wait until it is gone."""
        ignoring_gone(lambda: self._service.delete_deployment(name))
        sentence = f"Verda has not deleted the deployment {name!r} within {seconds:.0f} s; run the same command again."
        until(lambda: self.get(name) is None or None, clock=self._clock, seconds=seconds, sentence=sentence)

    def secret_names(self) -> list[str]:
        return [secret.name for secret in self._service.get_secrets()]

    def put_secret(self, name: str, value: str) -> None:
        """The secret of this name with this value. Verda cannot change one: what is there is made anew."""
        if name in self.secret_names():
            self.delete_secret(name)
        try:
            self._service.create_secret(name, value)
        except errors.VerdaUnavailable:
            if shows_up(lambda: name in self.secret_names() or None, self._clock) is None:
                raise
        except errors.VerdaError as refused:
            # A refusal may quote what was sent.
            raise type(refused)(refused.message.replace(value, "[redacted]")) from None

    def delete_secret(self, name: str) -> None:
        ignoring_gone(lambda: self._service.delete_secret(name, force=True))
