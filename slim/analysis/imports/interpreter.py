"""Modules that the interpreter imports by itself, and its file that only looks like imports."""

from __future__ import annotations

from slim.model.record import FileRecord, OwnerKind

# What CPython's own C code imports by name (Python/pylifecycle.c, Modules/main.c,
# Modules/getpath.py, Python/codecs.c, Python/pythonrun.c, Python/_warnings.c, Objects/typeobject.c,
# Objects/longobject.c, Modules/_io, Modules/timemodule.c).
INTERPRETER_IMPORTS = (
    *(
        "_collections_abc",
        "_pylong",
        "_sitebuiltins",
        "_strptime",
        "abc",
        "codecs",
        "collections",
        "collections/abc",
        "copyreg",
    ),
    *(
        "encodings",
        "encodings/aliases",
        "encodings/ascii",
        "encodings/latin_1",
        "encodings/utf_8",
        "genericpath",
    ),
    *(
        "importlib",
        "io",
        "linecache",
        "ntpath",
        "os",
        "posixpath",
        "runpy",
        "site",
        "stat",
        "threading",
        "traceback",
    ),
    *("types", "typing", "warnings", "weakref", "zipimport"),
)


def is_name_table(record: FileRecord) -> bool:
    """True for ``_compat_pickle``, which imports nothing.

    It lists the names that Python 2 had for modules of Python 3, for old pickles.
    """
    return record.owner.kind is OwnerKind.RUNTIME and record.path.endswith("/_compat_pickle.py")
