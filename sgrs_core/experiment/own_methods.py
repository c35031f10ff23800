"""Methods in files of one's own, written `package.module:Class`: their names and their files.

No torch here, and the module itself is not run: that is for `sgrs_core.methods.method_class`.
"""

import os
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"


def is_own(method: str) -> bool:
    """Whether it is written as a method in a file of one's own."""
    return ":" in method


def check_written(method: str) -> None:
    """Raise ValueError unless a method in a file of one's own is written as one."""
    if not re.fullmatch(PATTERN, method):
        raise ValueError("allowed are names, and <package>.<module>:<Class>")


def title_of(method: str) -> str:
    """The class's name in words: `my_package.smooth:MeanTeacher` -> `Mean Teacher`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", method.rpartition(":")[2])


def name_of(method: str) -> str:
    """The same as the name of a folder: `mean_teacher`."""
    return title_of(method).replace(" ", "_").lower()


def source_of(method: str, folders: Iterable[Path]) -> Path:
    """The file of a method's module.

    The first of the folders that has it is looked into from now on, after all other places, by this
    process and those that it starts; without one, the module is where Python looks anyway. Raises
    ValueError, saying why it cannot be found.
    """
    check_written(method)
    module = method.partition(":")[0]
    relative = module.replace(".", "/")
    for folder in folders:
        if any((folder / f"{relative}{end}").is_file() for end in (".py", "/__init__.py")):
            _look_into(str(folder.absolute()))
            break
    try:
        spec = find_spec(module)
    except ImportError:  # of the package that it should be in
        spec = None
    except Exception as error:  # whatever running that package raises
        raise ValueError(with_its_kind("cannot be imported", error)) from None
    if spec is None or spec.origin is None or not spec.has_location:
        places = ", ".join(dict.fromkeys(str(folder.absolute()) for folder in folders))
        raise ValueError(
            f"there is no module {module}; looked for {relative}.py in {places}, in PYTHONPATH and "
            "among installed packages"
        )
    return Path(spec.origin)


def with_its_kind(what: str, error: BaseException) -> str:
    """What went wrong, with the error's kind, because its text may be empty."""
    return " ".join(f"{what} ({type(error).__name__}: {error})".split())


def _look_into(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)
    searched = os.getenv("PYTHONPATH", "").split(os.pathsep)
    if folder not in searched:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*searched, folder]))
