"""Which billed things nobody knows: by name and id alone."""

from infra.verda.orphans import Billed, find_orphans, ids_in_state

MACHINE = Billed("machine", "i-1", "comfyume-staging-gpu-1", "running", 2.8)
DISK = Billed("volume", "v-1", "comfyume-staging-gpu-1-os", "attached", 0.01)
SHARED = Billed("volume", "v-2", "comfyume-staging-sfs", "exported", 0.05)
PROD = Billed("machine", "i-2", "comfyume-prod-gpu-1", "running", 2.8)
FOREIGN = Billed("machine", "i-3", "someone-else", "running", 2.8)
STATE = {
    "version": 3,
    "deployment": {
        "resources": [
            {"type": "pulumi:pulumi:Stack", "urn": "u"},
            {"type": "pulumi-python:dynamic/verda:Instance", "id": "i-1", "outputs": {"os_volume_id": "v-1"}},
            {"type": "pulumi-python:dynamic/verda:Volume", "id": "v-2", "outputs": {"status": "exported"}},
            {"type": "pulumi-python:dynamic:Resource", "id": "i-9"},
        ]
    },
}


def test_what_the_state_knows_is_no_orphan() -> None:
    assert find_orphans("comfyume-staging-", [MACHINE, DISK, SHARED], ids_in_state(STATE)) == []


def test_what_it_does_not_know_is_named_and_only_under_the_stacks_own_names() -> None:
    twin = Billed("machine", "i-4", "comfyume-staging-gpu-1", "running", 2.8)

    found = find_orphans("comfyume-staging-", [SHARED, PROD, FOREIGN, twin, MACHINE, DISK], {"i-1", "v-1"})

    assert found == [twin, SHARED]


def test_an_empty_or_younger_state_knows_nothing() -> None:
    assert ids_in_state({}) == set()
    assert ids_in_state({"deployment": {"resources": None}}) == set()
    assert ids_in_state(STATE) == {"i-1", "v-1", "v-2"}
