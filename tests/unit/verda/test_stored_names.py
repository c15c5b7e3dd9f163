"""What every stack's state says of our provider classes: module and name, nothing else; these must stay importable."""

import base64

import dill
import pulumi
import pytest
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.dynamic.dynamic import serialize_provider

from infra.verda import resources
from infra.verda.provider import VerdaProvider

# Class and module as they stand in committed states. A name may be added here, never changed or taken away.
STORED = {
    "VerdaDeploymentProvider": "infra.verda.deployments",
    "VerdaInstanceProvider": "infra.verda.instances",
    "VerdaInstanceReadyProvider": "infra.verda.instances",
    "VerdaScratchAttachmentProvider": "infra.verda.disks",
    "VerdaSecretProvider": "infra.verda.deployments",
    "VerdaSshKeyProvider": "infra.verda.keys",
    "VerdaStartupScriptProvider": "infra.verda.keys",
    "VerdaVolumeProvider": "infra.verda.disks",
    "VerdaVolumeShareProvider": "infra.verda.disks",
}
TYPES = {
    "VerdaDeployment": "dynamic/verda:Deployment",
    "VerdaInstance": "dynamic/verda:Instance",
    "VerdaInstanceReady": "dynamic/verda:InstanceReady",
    "VerdaScratchAttachment": "dynamic/verda:ScratchAttachment",
    "VerdaSecret": "dynamic/verda:Secret",
    "VerdaSshKey": "dynamic/verda:SshKey",
    "VerdaStartupScript": "dynamic/verda:StartupScript",
    "VerdaVolume": "dynamic/verda:Volume",
    "VerdaVolumeShare": "dynamic/verda:VolumeShare",
}
CANARY = "canary-that-must-not-be-stored"


def pickled(module: str, name: str) -> bytes:
    """A provider as a state holds it, written by hand in the oldest pickle protocol: a class, called without words."""
    return f"c{module}\n{name}\n)R.".encode()


@pytest.mark.parametrize(("name", "module"), sorted(STORED.items()))
def test_what_a_state_names_can_be_loaded(name: str, module: str) -> None:
    loaded = dill.loads(pickled(module, name))  # noqa: S301  # of our own making

    assert isinstance(loaded, VerdaProvider)
    assert getattr(resources, name).__module__ == module


@pytest.mark.parametrize("name", sorted(STORED))
def test_a_provider_is_stored_by_name_and_holds_no_credential(name: str) -> None:
    provider = getattr(resources, name)()
    text = serialize_provider(provider)
    config = {f"comfyume:{key}": CANARY for key in ("verda_client_id", "verda_client_secret", "operator_private_key")}
    provider.configure(ConfigureRequest(Config(config, "comfyume")))

    assert len(text) < 100
    assert STORED[name].encode() in base64.b64decode(text)
    assert provider.serialize_as_secret_always is False
    assert CANARY.encode() not in base64.b64decode(text)


@pytest.mark.parametrize(("name", "token"), sorted(TYPES.items()))
def test_types_in_the_state_keep_their_names(name: str, token: str) -> None:
    kind = getattr(resources, name)

    assert issubclass(kind, pulumi.CustomResource)
    assert kind._resource_type_name == token


def test_every_committed_name_is_offered() -> None:
    assert set(resources.__all__) == set(STORED) | set(TYPES)
