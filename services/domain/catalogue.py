"""The node catalogue: which node classes and model files the workers have, and which worker can run which graph.

Pure. `FitIndex` is what a submit asks (one dictionary look-up per node); `merged` is what a web UI reads. Fetching and
keeping catalogues is the queue manager's catalogue_store; the complete check of a broken graph is graph_validation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from services.domain.node_inputs import COMBO, NodeInput, inputs_of, is_model_file, is_of_kind


def stable_hash(text: str) -> int:
    """64 bits that are the same in every process, unlike `hash`."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class Profile:
    """What one kind of worker offers: its node classes (`/object_info`) and its model files by folder."""

    id: str
    object_info: Mapping[str, Any]
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Choice:
    """A combo input: for each value, a bit for each profile that offers it."""

    name: str
    offered_by: dict[Any, int] = field(default_factory=dict)
    is_model: bool = False


@dataclass(slots=True)
class FittingNode:
    """One node class, over all profiles."""

    offered_by: int = 0
    is_output: bool = False
    mark: int = 0
    choices: dict[str, Choice] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


class FitIndex:
    """Answers, for a graph, which of up to some tens of worker profiles can run it.

    Profiles are bits of an integer, so that one AND per node and per combo gives the set that fits.
    """

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.profile_ids = [profile.id for profile in profiles]
        self.everyone = (1 << len(profiles)) - 1
        self.nodes: dict[str, FittingNode] = {}
        for number, profile in enumerate(profiles):
            for class_type, info in profile.object_info.items():
                if isinstance(info, Mapping):
                    self._add(1 << number, class_type, info)

    def _add(self, bit: int, class_type: str, info: Mapping[str, Any]) -> None:
        node = self.nodes.setdefault(class_type, FittingNode(mark=stable_hash(class_type)))
        node.offered_by |= bit
        node.is_output = node.is_output or info.get("output_node") is True
        for declared in inputs_of(class_type, info):
            if declared.file_word is not None:
                node.files[declared.name] = declared.file_word
            elif declared.is_combo and declared.checked and not declared.config.get("multiselect"):
                _offer(node.choices.setdefault(declared.name, Choice(declared.name)), declared, bit)

    def profiles_of(self, mask: int) -> list[str]:
        """Turn a bit set back into profile ids, in the order of the constructor."""
        return [profile for number, profile in enumerate(self.profile_ids) if mask >> number & 1]


def _offer(choice: Choice, declared: NodeInput, bit: int) -> None:
    for value in declared.options:
        if isinstance(value, str | int | float):
            choice.offered_by[value] = choice.offered_by.get(value, 0) | bit
            choice.is_model = choice.is_model or is_model_file(value)


def merged(profiles: Sequence[Profile]) -> dict[str, Any]:
    """Unite the profiles' `/object_info`: every class of any worker, every choice of any worker in each combo.

    The first profile that has a class gives its description. Choices that list a worker's own input folder are
    emptied: they are other people's file names, and no participant's.
    """
    result: dict[str, Any] = {}
    for profile in profiles:
        for class_type, info in profile.object_info.items():
            if not isinstance(info, Mapping):
                continue
            known = result.get(class_type)
            result[class_type] = (
                without_worker_files(class_type, info) if known is None else _united(class_type, known, info)
            )
    return result


def without_worker_files(class_type: str, info: Mapping[str, Any]) -> dict[str, Any]:
    """Copy one `/object_info` entry with empty choices where they are files of the worker's input folder."""
    return with_input_files(class_type, info, ())


def with_input_files(class_type: str, info: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Copy one `/object_info` entry with `names` (one participant's own files) as the choices of its file inputs.

    Each input offers the names of its own kind only; which endings belong to a kind is `node_inputs.is_of_kind`.
    """
    changed = {}
    for declared in inputs_of(class_type, info):
        if declared.file_word is not None and declared.is_combo:
            kept = [option for option in declared.options if option == "none"]
            own = [name for name in names if is_of_kind(name, declared.file_word)]
            changed[declared.name] = _with_options(declared, kept + own)
    return _replaced(info, changed)


def merged_models(profiles: Iterable[Profile]) -> dict[str, list[str]]:
    """Unite the model files of all profiles: folder -> sorted file names."""
    folders: dict[str, set[str]] = {}
    for profile in profiles:
        for folder, files in profile.models.items():
            folders.setdefault(folder, set()).update(files)
    return {folder: sorted(files) for folder, files in sorted(folders.items())}


def _united(class_type: str, known: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Add the other worker's choices to the combos of a class that is known already."""
    theirs = {declared.name: declared for declared in inputs_of(class_type, other) if declared.is_combo}
    changed = {}
    for declared in inputs_of(class_type, known):
        if not declared.is_combo or declared.name not in theirs or declared.file_word is not None:
            continue
        more = [option for option in theirs[declared.name].options if option not in declared.options]
        if more:
            changed[declared.name] = _with_options(declared, [*declared.options, *more])
    return _replaced(known, changed)


def _with_options(declared: NodeInput, options: list[Any]) -> list[Any]:
    """Spell the input again with other choices, in the form the class used."""
    if declared.type == COMBO:
        return [COMBO, {**declared.config, "options": options}]
    return [options, dict(declared.config)] if declared.config else [options]


def _replaced(info: Mapping[str, Any], changed: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Copy an entry with some of its inputs' declarations replaced; the original stays as it is."""
    if not changed:
        return dict(info)
    sections = {
        section: {name: changed.get(name, spec) for name, spec in declared.items()}
        if section in ("required", "optional") and isinstance(declared, Mapping)
        else declared
        for section, declared in info["input"].items()
    }
    return {**info, "input": sections}
