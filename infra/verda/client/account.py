"""What belongs to the account as a whole: public keys, startup scripts, the price list and the balance."""

from verda.balance import BalanceService
from verda.instance_types import InstanceType, InstanceTypesService
from verda.ssh_keys import SSHKey, SSHKeysService
from verda.startup_scripts import StartupScript, StartupScriptsService

from infra.verda.client.discipline import create_once, ignoring_gone
from infra.verda.client.transport import Transport
from infra.verda.waiting import Clock


class Account:
    """Keys, scripts and money."""

    def __init__(self, http: Transport, clock: Clock) -> None:
        self._keys = SSHKeysService(http)
        self._scripts = StartupScriptsService(http)
        self._types = InstanceTypesService(http)
        self._balance = BalanceService(http)
        self._clock = clock

    def ssh_keys(self) -> list[SSHKey]:
        return list(self._keys.get())

    def ensure_ssh_key(self, name: str, public_key: str) -> SSHKey:
        """The key with this material, whatever its name; entered if there is none."""

        def find() -> SSHKey | None:
            return next((key for key in self.ssh_keys() if _material(key.public_key) == _material(public_key)), None)

        return find() or create_once(lambda: self._keys.create(name, public_key), find, self._clock)

    def delete_ssh_key(self, id_: str) -> None:
        ignoring_gone(lambda: self._keys.delete_by_id(id_))

    def startup_scripts(self) -> list[StartupScript]:
        return list(self._scripts.get())

    def ensure_startup_script(self, name: str, script: str) -> StartupScript:
        """The script of this name and text; entered if there is none."""

        def find() -> StartupScript | None:
            scripts = self.startup_scripts()
            return next((found for found in scripts if (found.name, found.script) == (name, script)), None)

        return find() or create_once(lambda: self._scripts.create(name, script), find, self._clock)

    def delete_startup_script(self, id_: str) -> None:
        ignoring_gone(lambda: self._scripts.delete_by_id(id_))

    def balance(self) -> tuple[float, str]:
        """What is left: amount and currency."""
        left = self._balance.get()
        return float(left.amount), str(left.currency)

    def instance_types(self) -> list[InstanceType]:
        """Verda's price list of this moment: euros an hour, without tax."""
        return list(self._types.get("eur"))


def _material(public_key: str) -> tuple[str, ...]:
    """Type and body of a public key; the comment at its end is nobody's identity."""
    return tuple(public_key.split()[:2])
