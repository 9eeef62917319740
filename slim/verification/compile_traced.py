"""Oracle of edited ``postinstall.py`` files: one line changed, and it compiles sources.

Source: the Python language reference, read with the parser of ``ast``; the documentation of
``compileall.compile_file``.
"""

from __future__ import annotations

import ast

from slim.system.syntax import parsed

_SHAPE = """
[__import__("compileall").compile_file(pylib_path / folder / f"{name}.py", optimize=0, quiet=True)
 for folder, names in {}.items() for name in names.split("/")]
"""
_BEFORE = "compile_dir(pylib_path, optimize=0, quiet=True)"


def check(original: memoryview, edited: memoryview) -> list[str]:
    """Compare an edited script with its original; return what is wrong, a sentence each.

    Checked are that exactly one line differs; that it called ``compile_dir`` for the library folder
    before; and that it calls ``compile_file`` for sources below that folder now, and does nothing
    else. Raises nothing.
    """
    before, after = bytes(original).split(b"\n"), bytes(edited).split(b"\n")
    changed = [at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]]
    if len(before) != len(after) or len(changed) != 1:
        return ["more than one line changed"]
    old, new = before[changed[0]], after[changed[0]]
    if old.strip() != _BEFORE.encode() or old[:4].strip() or new[:5].strip(b" ") != b"[":
        return ["another line changed than the one that compiles the library folder"]
    try:
        parsed(bytes(edited), newer=False)
        (statement,) = parsed(new.strip(), newer=False).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f"the edited script can't be parsed: {error}"]
    return _shape(statement)


def _shape(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.Expr(
            value=ast.ListComp(
                generators=[
                    ast.comprehension(
                        iter=ast.Call(func=ast.Attribute(value=ast.Dict() as listed))
                    ),
                    _,
                ]
            )
        ):
            pairs = list(zip(listed.keys, listed.values, strict=True))
            listed.keys, listed.values = [], []
        case _:
            return ["the new line is no list of sources to compile"]
    if ast.dump(statement) != ast.dump(ast.parse(_SHAPE).body[0]):
        return ["the new line does more than compile the sources that it lists"]
    for folder, names in pairs:
        if not _is_below(folder) or not isinstance(names, ast.Constant):
            return ["the new line compiles what may lie outside of the library folder"]
    return []


def _is_below(folder: ast.expr | None) -> bool:
    match folder:
        case ast.Constant(value=str(path)):
            return not path.startswith("/") and ".." not in path.split("/") and ":" not in path
    return False
