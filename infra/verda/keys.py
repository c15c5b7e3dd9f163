"""Public keys and startup scripts at Verda. Its API cannot change either, so a change replaces."""

import hashlib

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource

from infra.verda.provider import GONE, Props, VerdaProvider


class VerdaSshKeyProvider(VerdaProvider):
    """A key that stood in the account under another name belongs to somebody: it is used, and never deleted."""

    replaces = ("name", "public_key")

    def make(self, props: Props) -> CreateResult:
        key = self.api.account.ensure_ssh_key(props["name"], props["public_key"])
        return CreateResult(key.id, {**props, "is_ours": key.name == props["name"]})

    def look(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, props) if id_ in {key.id for key in self.api.account.ssh_keys()} else GONE

    def unmake(self, id_: str, props: Props) -> None:
        if props.get("is_ours", True):
            self.api.account.delete_ssh_key(id_)


class VerdaStartupScriptProvider(VerdaProvider):
    """The hash in its name lets the new script stand beside the old one while machines change over."""

    replaces = ("name", "script")

    def make(self, props: Props) -> CreateResult:
        content = hashlib.sha256(props["script"].encode()).hexdigest()[:8]
        script = self.api.account.ensure_startup_script(f"{props['name']}-{content}", props["script"])
        return CreateResult(script.id, props)

    def look(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, props) if id_ in {found.id for found in self.api.account.startup_scripts()} else GONE

    def unmake(self, id_: str, props: Props) -> None:
        self.api.account.delete_startup_script(id_)


class VerdaSshKey(Resource, module="verda", name="SshKey"):
    """A public key that new machines let in as root."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        public_key: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(VerdaSshKeyProvider(), resource_name, {"name": name, "public_key": public_key}, opts)


class VerdaStartupScript(Resource, module="verda", name="StartupScript"):
    """What a machine runs once, at its first boot. Verda stores it readable: it holds no secret."""

    def __init__(
        self,
        resource_name: str,
        *,
        name: pulumi.Input[str],
        script: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(VerdaStartupScriptProvider(), resource_name, {"name": name, "script": script}, opts)
