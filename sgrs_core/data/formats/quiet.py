"""What ITK and its readers print stays off standard error; what they raise is one line."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from standard error what MetaImage and GDCM print; what they raise is said in a line."""
    before = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def said_by_itk(error: RuntimeError) -> str:
    """What went wrong, without where in ITK's source and memory."""
    *_, said = re.split(r"ERROR: |\[nrrd\] |\.[ch]xx:\d+:\s", str(error))
    return " ".join(re.sub(r"\(0x\w+\)", "", said).split())


def check_name(path: Path) -> None:
    """Raise ValueError for a name that is not UTF-8, at which SimpleITK ends the whole process."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path}: its name is not UTF-8; rename it") from None
