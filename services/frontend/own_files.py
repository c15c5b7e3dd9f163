"""Finds one of the participant's own files at the queue manager from the names that ComfyUI's routes use.

`type` and `subfolder` as in `/view`: `input` files lie in the participant's own inputs; `output` and `temp` files lie
with the job whose number the subfolder begins with. Uploads of
these types, which belong to no job, lie among the inputs below a folder of the type's name.
"""

from urllib.parse import quote

from services.domain.errors import Forbidden, InvalidInput, NotFound
from services.frontend.file_names import split_job
from services.frontend.workspace import Workspace

FILE_TYPES = ("input", "output", "temp")


def split_annotation(filename: str) -> tuple[str, str | None]:
    """ComfyUI's `name [type]`: the name, and the type where one is annotated."""
    for kind in FILE_TYPES:
        if filename.endswith(f" [{kind}]"):
            return filename.removesuffix(f" [{kind}]"), kind
    return filename, None


def can_be_sent(name: str) -> bool:
    """Whether a name has neither a null character nor half a character (a lone surrogate)."""
    try:
        return b"\0" not in name.encode()
    except UnicodeEncodeError:
        return False


async def own_file_path(space: Workspace, filename: str, kind: str, subfolder: str) -> str:
    """The queue manager's address of a file, ready to be asked for.

    Raises:
        InvalidInput: the name cannot be a file's. Forbidden: it leads out of the folder. NotFound: there is none.
    """
    filename, annotated = split_annotation(filename)
    kind = annotated or kind
    if not filename or filename.startswith("/") or ".." in filename or kind not in FILE_TYPES:
        raise InvalidInput("filename: this name cannot be used; ask for a file by its plain name.")
    if not can_be_sent(filename) or not can_be_sent(subfolder):
        raise InvalidInput("filename: this name holds characters that no file's name can have; use plain ones.")
    if subfolder.startswith("/") or ".." in subfolder.split("/") or "\\" in subfolder or "\0" in subfolder:
        raise Forbidden("subfolder: this leads out of your own files; name a folder inside them.")
    below = "/".join(part for part in (subfolder.strip("/"), filename) if part)
    if kind == "input":
        return f"/api/inputs/{quote(below)}"
    place = split_job(subfolder) or split_job(filename.rpartition("/")[0])
    job_id = await space.jobs.id_of(place[0]) if place else None
    if place is None:
        return f"/api/inputs/{quote(f'{kind}/{below}')}"
    if job_id is None:
        raise NotFound("filename: there is no such file; look at the job's outputs.")
    name = below.partition("/")[2]
    return f"/api/jobs/{job_id}/outputs/{kind}/{quote(name)}"
