"""The workshop's people and GPU hosts and nothing else: real settings, few resources, for tests of the verbs."""

import pulumi
import pulumi_random as random

from infra.outputs import EXPORT
from infra.settings import load_for
from tests.engine.small_host import SmallHost

settings = load_for(pulumi.get_stack(), pulumi.get_project())
rekeyed = {
    name: person.rekeyed for people in (settings.participants, settings.staff) for name, person in people.items()
}
for name, times in rekeyed.items():
    random.RandomPassword(f"password-{name}", length=20, keepers={"rekeyed": str(times)})
for number in range(1, settings.gpu.count + 1):
    SmallHost(f"gpu-{number}", name=f"gpu-{number}-{settings.gpu.instance_type.lower()}", token="none")
random.RandomPassword("redis", length=20, opts=pulumi.ResourceOptions(protect=settings.protection.enabled))
pulumi.export(EXPORT, {"title": settings.workshop_title})
