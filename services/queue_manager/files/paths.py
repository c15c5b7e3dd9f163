"""Names of files that come from outside, checked before they touch the disk.

A name may have folders (`portraits/anna.png`); it may not climb, or mean something special to a file system. A second
look (`inside`) makes sure that what is about to be read lies where it seems to lie, symbolic links included.
"""

from pathlib import Path

from services.domain.errors import InvalidInput, NotFound

LONGEST_NAME = 1000
"""Bytes of a whole name in UTF-8, folders included."""
LONGEST_PART = 200
"""Bytes of one part; leaves room for a temporary name on every file system."""


def checked_name(text: str, field: str) -> str:
    """Return `text` if it may be used as a file's name with folders; raises InvalidInput naming `field`."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"The {field} is not valid text; use letters that UTF-8 can write.") from None
    if not text or len(encoded) > LONGEST_NAME:
        raise InvalidInput(f"The {field} has to have 1 to {LONGEST_NAME} bytes; choose a shorter name.")
    for part in text.split("/"):
        if part in ("", ".", "..") or part.startswith(".part-") or len(part.encode()) > LONGEST_PART:
            raise InvalidInput(
                f"The {field} has an empty, too long or special part; use folder/name with parts up to "
                f"{LONGEST_PART} bytes and without '.' or '..'."
            )
    if any(ord(letter) < 32 or letter in '\\:*?"<>|\x7f' for letter in text) or text != text.strip():
        raise InvalidInput(
            f"The {field} has a letter that file systems treat specially; leave out control characters, "
            'spaces at the ends and \\ : * ? " < > |.'
        )
    return text


def inside(folder: Path, name: str) -> Path:
    """Return the existing regular file `folder/name`; raises NotFound if there is none, or a link leads elsewhere."""
    path = folder / name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise NotFound("There is no such file (any more); list the files to see what there is.") from None
    if real != folder.resolve() / name or not real.is_file():
        raise NotFound("There is no such file (any more); list the files to see what there is.")
    return real
