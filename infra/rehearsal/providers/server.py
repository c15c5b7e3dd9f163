"""What a stand-in provider is: the base class that one package's stand-in fills in.

A stand-in sees plain Python values only (`values.py`). The wire form, secrets, unknown values, faults and the record of
calls belong to `service.py`, the rules of an SDK to `check.py` and `diff.py`, the rehearsed cloud's file to `cloud.py`.

To write a stand-in, subclass `StandIn` and override what the package does differently:

- `check` (call `super().check` first) to refuse more than the SDK's types do, or to add inputs (a content hash);
- `diff` where the table of replacing properties (`force_new.toml`) is not enough;
- `create`, `read`, `update`, `delete` to act on something real. The inherited ones keep a record in the cloud's file;
- `preview_update` to name the outputs that an update will change: dependents then see them as unknown;
- `invoke` for look-ups.

A failure is `ProviderFailure("one sentence")`. A create or update that left something behind raises `PartialFailure`:
the engine then keeps the resource in its state, and the next `up` calls `update`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from infra.rehearsal.providers.check import check_inputs
from infra.rehearsal.providers.cloud import Cloud, Record
from infra.rehearsal.providers.diff import compare
from infra.rehearsal.providers.schema import outputs_of
from infra.rehearsal.providers.values import (
    UNKNOWN,
    Checked,
    Difference,
    Existing,
    PartialFailure,
    Problem,
    Properties,
    ProviderFailure,
    Request,
)

__all__ = [
    "UNKNOWN",
    "Checked",
    "Cloud",
    "Difference",
    "Existing",
    "PartialFailure",
    "Problem",
    "Properties",
    "ProviderFailure",
    "Record",
    "Request",
    "StandIn",
]


class StandIn:
    """One package's stand-in; as it stands, one for any package: it keeps what it is given in the cloud's file.

    One object serves one provider resource of the program (its own process), with `configuration` the provider's
    inputs, JSON-decoded. Methods are called from several threads at once.
    """

    package: ClassVar[str] = ""
    derived_outputs: ClassVar[frozenset[str]] = frozenset()
    """Outputs that count as secret as soon as any input is (a command's `stdout`)."""

    def __init__(self, package: str, cloud: Cloud) -> None:
        self.name = package
        self.cloud = cloud
        self.configuration: Properties = {}

    def configure(self, configuration: Properties) -> None:
        """Take over the provider's inputs; called once, before anything but `check` of an unknown provider."""
        self.configuration = configuration

    # -- before anything is touched -----------------------------------------------------------------------------------

    def check(self, request: Request) -> Checked:
        """Refuse what the installed SDK does not define: unknown or missing properties, wrong types, wrong choices."""
        return check_inputs(self.name, request)

    def diff(self, request: Request) -> Difference:
        """Compare recorded and wanted inputs; `force_new.toml` says which changes replace."""
        return compare(request)

    def preview_create(self, request: Request) -> Properties:
        """The outputs a create will have, as far as they are known: inputs as they are, everything else `UNKNOWN`."""
        return {**dict.fromkeys(outputs_of(self.name, request.type), UNKNOWN), **request.inputs}

    def preview_update(self, request: Request) -> Properties:
        """The outputs an update will have; override to answer `UNKNOWN` for those that will change with it."""
        return {**request.old_outputs, **request.inputs}

    # -- the deployment -----------------------------------------------------------------------------------------------

    def create(self, request: Request) -> Existing:
        """Make the resource. The inherited one records the inputs with what `computed` adds."""
        id_ = self.new_id(request)
        outputs = {**request.inputs, **self.computed(request, id_)}
        self.cloud.put(self._record(request, id_, outputs))
        return Existing(id_, outputs, request.inputs)

    def read(self, request: Request) -> Existing | None:
        """The resource as the cloud has it now, None when it is gone. Without `old_inputs` this is an import."""
        record = self.cloud.get(self.name, request.type, self.key(request, request.id))
        return None if record is None else Existing(request.id, record.outputs, record.inputs)

    def update(self, request: Request) -> Properties:
        """Change the resource in place; returns all its outputs."""
        outputs = {**request.old_outputs, **request.inputs, **self.changed(request)}
        self.cloud.put(self._record(request, request.id, outputs))
        return outputs

    def delete(self, request: Request) -> None:
        """Remove the resource. One that is gone already is no failure."""
        self.cloud.remove(self.name, request.type, self.key(request, request.id))

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        """Answer a look-up (`get_...`); a look-up nobody prepared is refused by its name."""
        raise ProviderFailure(f"the stand-in for {self.name} has no answer prepared for {token}")

    # -- what most stand-ins fill in ----------------------------------------------------------------------------------

    def new_id(self, request: Request) -> str:
        """The id the cloud would give."""
        return secrets.token_hex(16)

    def key(self, request: Request, id_: str) -> str:
        """What tells this resource from others of its type in the cloud's file, where its id does not."""
        return id_

    def computed(self, request: Request, id_: str) -> Properties:
        """Outputs of a new resource that are not inputs."""
        return {}

    def changed(self, request: Request) -> Properties:
        """Outputs that an update in place changes beside the inputs."""
        return {}

    def _record(self, request: Request, id_: str, outputs: Properties) -> Record:
        return Record(self.name, request.type, self.key(request, id_), request.name, request.inputs, outputs)
