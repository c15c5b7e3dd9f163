"""Which files of a node pack a script may mean, and which names may be published at all."""

import pytest

from services.domain.extension_files import is_extension_name
from services.queue_manager.extension_store import PublishedFiles, merged
from services.worker.extension_bundle import names_in


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ('href = "./look.css"', ["pack/js/look.css"]),
        ("url('../img/a.png')", ["pack/img/a.png"]),
        ("`extensions/pack/css/b.css`", ["pack/css/b.css"]),
        ('"/extensions/pack/c.json?v=2"', ["pack/c.json"]),
        ('"/extensions/other/c.json"', []),
        ('"../../other/x.js"', []),
        ('"../../../etc/passwd.txt"', []),
        ('"https://example.org/x.css"', []),
        ('"app.exe" "no ending"', []),
    ],
)
def test_files_of_the_same_pack_are_found_in_a_script(script: str, names: list[str]) -> None:
    assert set(names) <= set(names_in(script, "pack/js/main.js"))
    assert all(name.startswith("pack/") for name in names_in(script, "pack/js/main.js"))


@pytest.mark.parametrize(
    "name", ["x.js", "a//x.js", "a/../x.js", ".a/x.js", "a/.x.js", "a/x", "a/x.py", "core/x.js", "Comfyume/x.js",
             "a/x\n.js", "a\\x/y.js", "a/%2e.js", " a/x.js", "a/ x.js", "a/" + "x" * 300 + ".js"],
)  # fmt: skip
def test_names_that_are_never_published(name: str) -> None:
    assert not is_extension_name(name)


@pytest.mark.parametrize("name", ["ComfyUI-KJNodes/kjweb_async/purify.min.js", "a b (1)/x+y.mjs", "p/@v/x.WASM"])
def test_names_as_packs_have_them(name: str) -> None:
    assert is_extension_name(name)


def test_a_pack_of_several_workers_comes_from_the_latest_one_whole() -> None:
    old = PublishedFiles("1", 10, {"pack/a.js": "a1", "pack/b.js": "b1", "only/x.js": "x1"})
    new = PublishedFiles("2", 20, {"pack/a.js": "a2"})
    assert merged([old, new]) == merged([new, old]) == {"only/x.js": "x1", "pack/a.js": "a2"}
