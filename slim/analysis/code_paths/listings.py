"""Folders that code lists, walks or copies, by the path that they have in the code.

``Path(__file__).parent.rglob("*")``, ``os.walk(HERE)``, ``shutil.copytree(files("pkg"), there)``.
What code says of the files that it wants among those (``"*.json"``, ``name.endswith(".py")``)
counts, as long as it says what it wants and not what it leaves out.

Sources: the Python documentation of ``pathlib``, ``os``, ``glob`` and ``shutil``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from slim.analysis.code_paths.listing import Listing
from slim.analysis.code_paths.module import ANY_MODULE, OWN, PACKAGE, CodeModule
from slim.analysis.code_paths.scripts import command_listings, takes_files
from slim.analysis.imports.bare_names import called_name
from slim.analysis.imports.path_scan import words
from slim.system.syntax import walk

_METHODS = words("rglob glob iterdir walk")
_FUNCTIONS = words("walk fwalk listdir scandir glob iglob contents resource_listdir copy_tree")
_COPIES = re.compile(
    r"copy|zip|(?<!s)tar(?!get|t)|archive|upload|sync|tree|"
    r"mount|bundle|pack|ship|deploy|push|transfer|"
    r"asset|add_local|from_local|log_code|^put|^build$|"
    r"writepy|walk|scan|dir_hash|hash_dir|StaticFiles|as_file|send|addPyFile|addFile|cookiecutter",
    re.I,
)
"""Names of functions that take folders whole."""
_ARCHIVES = re.compile(r"^t$|tar|archive")
"""Names of variables that hold an archive."""
_NO_COPIES = re.compile(r"unpack|package|import|resource|abspath|mkdir", re.I)
_PROGRAMS = words("rsync scp cp tar zip docker podman kubectl rclone robocopy xcopy aws gsutil 7z")
"""Programs that take the folders which they are given whole."""
_RUNS = words("run Popen call check_call check_output create_subprocess_exec")
_SHELLS = words("system popen getoutput getstatusoutput create_subprocess_shell") | _RUNS
_SERVED = words("static_folder template_folder assets_folder static_dir template_dir")
"""Arguments with a folder that a web framework looks for beside the module."""
_SHIPPED = words(
    "runtime_env working_dir py_modules root_dir base_dir source_dir code_dir code_path code_paths "
    "extra_packages folder_path add_python_paths"
)
"""Arguments that say which folders a cluster's workers get, or an archive."""
_WILD = re.compile(r"[*?\[]")
_FOLDER = re.compile(r"[^\W\d]\w*(?:/\w+)*/?")
_RECORDED = words("files distribution")
"""Functions of ``importlib.metadata`` that tell of every file of a distribution."""
_RELATIVE = re.compile(r"(?:\.{1,2}/)*[\w-][^*?\[:]*\Z")
_LOADERS = words("FileSystemLoader PackageLoader TemplateLookup")
"""Classes of Jinja and Mako that read whatever template they are asked for, below folders."""
_WHOLE = words("copytree copy_tree make_archive run_copy cookiecutter") | _LOADERS
"""What takes a whole folder even if only running tells which of several it is."""
_ONE_OF_SEVERAL = re.compile(r"[^*?\[]+/\*")


def listings_of(module: CodeModule, used: set[int]) -> Iterator[Listing]:
    """Every listing of a folder whose place is known: beside the code, or in a package.

    Adds the ids of the expressions that say so to ``used``.
    """
    for listing in _listings_of(module, used):
        if listing.folder.startswith(ANY_MODULE):
            rest = listing.folder[len(ANY_MODULE) :]
            for name in module.held:
                yield replace(listing, folder=f"{PACKAGE}{name}{PACKAGE}{rest}")
        else:
            yield listing


def _listings_of(module: CodeModule, used: set[int]) -> Iterator[Listing]:
    scopes: dict[int, ast.AST] | None = None
    for node in module.live:
        if not isinstance(node, ast.Call) or not may_list(node):
            continue
        for text, recursive, wanted in _listed(module, node):
            if not text.startswith((OWN, PACKAGE)):
                continue
            used.update(map(id, walk(node)))
            scopes = _scopes(module) if scopes is None else scopes
            scope = scopes.get(id(node))
            filters = _filters(scope) if wanted == ("*",) and scope is not None else ()
            yield Listing(
                folder=text.rstrip("/"),
                wanted=filters or wanted,
                recursive=recursive or (scope is not None and _descends(scope)),
                line=node.lineno,
                text=ast.unparse(node.func)[-40:] + "(...)",
            )
        for item in node.keywords:
            text = module.text(item.value)
            if item.arg in _SERVED and _RELATIVE.match(text):
                used.update(map(id, walk(item.value)))
                folder = f"{OWN}/../{text.rstrip('/')}"
                yield Listing(folder, ("*",), True, node.lineno, f'{item.arg}="{text}"')
        if called_name(node.func) in _SHELLS:
            for listing in _commands(module, node):
                used.update(map(id, walk(node)))
                yield listing
    yield from _through_functions(module, used)


def _commands(module: CodeModule, node: ast.Call) -> Iterator[Listing]:
    """Yield what a command line takes that a call starts, from places that are known."""
    match node.args:
        case [ast.List(elts=parts) | ast.Tuple(elts=parts), *_]:
            command = " ".join(map(module.text, parts))
        case [ast.Call(func=ast.Attribute(attr="split"), args=[line, *_]), *_]:
            command = module.text(line)
        case [line, *_]:
            command = module.text(line)
        case _:
            return
    where = [module.text(item.value) for item in node.keywords if item.arg == "cwd"]
    folder = where[0] if where and where[0].startswith((OWN, PACKAGE)) else None
    if OWN in command or PACKAGE in command or folder is not None:
        yield from command_listings(command, folder, node.lineno)


@dataclass(frozen=True, slots=True)
class _Lister:
    """A function that lists a folder which it is given."""

    wanted: tuple[str, ...]
    recursive: bool


def _through_functions(module: CodeModule, used: set[int]) -> Iterator[Listing]:
    """Every folder that is given to a function of the module which lists it, often by itself.

    ``def copy(folder): for item in folder.iterdir(): ... copy(item)``, ``copy(files("pkg"))``.
    """
    listers = dict(_listers(module))
    for node in module.live if listers else ():
        match node:
            case ast.Call():
                name = called_name(node.func)
                given = [*node.args, *(item.value for item in node.keywords)]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                name = node.name
                given = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            case _:
                continue
        lister = listers.get(name)
        for argument in given if lister is not None else ():
            text = module.text(argument)
            if lister is not None and text.startswith((OWN, PACKAGE)):
                used.update(map(id, walk(argument)))
                yield Listing(
                    folder=text.rstrip("/"),
                    wanted=lister.wanted,
                    recursive=lister.recursive,
                    line=argument.lineno,
                    text=f"{name}(...), which lists it,",
                )


def _listers(module: CodeModule) -> Iterator[tuple[str, _Lister]]:
    """The functions of a module that list a folder which they are given, by name."""
    for scope in module.live:
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inner = list(walk(scope))
        calls = [node for node in inner if isinstance(node, ast.Call)]
        listings = [call for call in calls if _lists_folder(call)]
        given = _given_names(scope, inner) if listings else frozenset()
        listings = [call for call in listings if not given.isdisjoint(_names_in(call))]
        if not listings:
            continue
        deep = {called_name(call.func) for call in listings} & {"rglob", "walk", "fwalk"}
        itself = any(called_name(call.func) == scope.name for call in calls)
        yield scope.name, _Lister(_filters(scope) or ("*",), bool(deep or itself))


def _lists_folder(call: ast.Call) -> bool:
    called = called_name(call.func)
    return called in _FUNCTIONS or (called in _METHODS and isinstance(call.func, ast.Attribute))


def _given_names(
    scope: ast.FunctionDef | ast.AsyncFunctionDef, inner: list[ast.AST]
) -> frozenset[str]:
    """The parameters of a function, and the variables that are made of them."""
    found = {node.arg for node in walk(scope.args) if isinstance(node, ast.arg)}
    for node in inner:
        if isinstance(node, ast.Assign) and not found.isdisjoint(_names_in(node.value)):
            found.update(one.id for one in node.targets if isinstance(one, ast.Name))
    return frozenset(found - {"self", "cls"})


def _names_in(node: ast.AST) -> set[str]:
    return {one.id for one in walk(node) if isinstance(one, ast.Name)}


def sources_at(module: CodeModule) -> Iterator[Listing]:
    """Every path to a Python file beside the code of which only running tells the name."""
    for node in module.live:
        if isinstance(node, ast.BinOp | ast.Call | ast.JoinedStr):
            text = module.text(node)
            folder, _, name = text.rpartition("/")
            if text.startswith((OWN, PACKAGE)) and name.endswith(".py") and "*" in name:
                yield Listing(folder, (name,), False, node.lineno, f'"{name}"')


def may_list(node: ast.Call) -> bool:
    """Return whether a call may be a listing, by what is called."""
    called = called_name(node.func)
    return (
        called in _METHODS
        or called in _RECORDED
        or called in _FUNCTIONS
        or bool(_given_whole(node))
        or (called in _SHELLS and _is_command(node))
        or any(item.arg in _SERVED for item in node.keywords)
    )


def _is_command(node: ast.Call) -> bool:
    """Return whether a call may start a program that takes files, by a constant or a variable."""
    return any(
        isinstance(one, ast.Name)
        or (isinstance(one, ast.Constant) and takes_files(f"{one.value!s} "))
        for given in node.args[:1]
        for one in walk(given)
    )


def _given_whole(node: ast.Call) -> list[ast.expr]:
    """The arguments of a call that takes folders whole, if it is one."""
    called = called_name(node.func)
    given = [*node.args, *(item.value for item in node.keywords)]
    if called == "PackageLoader":
        return [node]
    if (_COPIES.search(called) and not _NO_COPIES.search(called)) or called in _LOADERS:
        return given
    named = {item.arg for item in node.keywords}
    if called == "add" and ("arcname" in named or _is_archive(node.func)):
        return given
    if called in _RUNS and given:
        match given[0]:
            case ast.List(elts=[ast.Constant(value=str(program)), *_]) if program in _PROGRAMS:
                return given[:1]
            case ast.Constant(value=str(program)) if program in _PROGRAMS:
                return given
    return [item.value for item in node.keywords if item.arg in _SHIPPED]


def _is_archive(function: ast.expr) -> bool:
    receiver = function.value if isinstance(function, ast.Attribute) else None
    name = receiver.id if isinstance(receiver, ast.Name) else ""
    return _ARCHIVES.search(name) is not None


def _parts_of(node: ast.expr, depth: int = 0) -> Iterator[ast.expr]:
    """An argument, and what stands in it where it is a collection or a table."""
    yield node
    parts = node.values if isinstance(node, ast.Dict) else _elements(node)
    if depth < 5 and parts != [node]:
        for part in parts:
            yield from _parts_of(part, depth + 1)


def _listed(module: CodeModule, node: ast.Call) -> Iterator[tuple[str, bool, tuple[str, ...]]]:
    """The folders that a call lists, each with whether also what lies deeper, and the names."""
    called = called_name(node.func)
    given = [*node.args, *(item.value for item in node.keywords)]
    if isinstance(node.func, ast.Attribute) and called in _METHODS:
        start = module.text(node.func.value)
        if start.startswith((OWN, PACKAGE)):
            pattern = module.text(given[0]) if given and called != "walk" else "*"
            pattern = "*" if PACKAGE in pattern else pattern
            deep = called in ("rglob", "walk")
            yield _pattern(f"{start}/{pattern}", deep)
            return
    if called in _RECORDED and (name := module.distribution(node)):
        yield f"{PACKAGE}{name}{PACKAGE}", True, ("*",)
        return
    if called == "make_archive" and (base := _archived(given, node.keywords)):
        yield f"{PACKAGE}{base.replace('/', '.')}{PACKAGE}", True, ("*",)
    if called in _FUNCTIONS and given:
        path = module.text(node)  # contents and resource_listdir take a package
        above = [module.text(item.value) for item in node.keywords if item.arg == "root_dir"]
        path = module.text(given[0]) if path == "*" or above else path
        path = "/".join([*above, path])
        deep = called in ("walk", "fwalk", "copy_tree")
        yield _pattern(path if "glob" in called else f"{path}/*", deep)
        return
    for argument in _given_whole(node):
        for part in _parts_of(argument):
            path = module.text(part)
            if not path.startswith((OWN, PACKAGE)) or path == OWN:
                continue
            if called in _LOADERS and path.endswith(("..", PACKAGE)):
                continue  # a whole package is no folder of templates
            if not _WILD.search(path) or (called in _WHOLE and _ONE_OF_SEVERAL.fullmatch(path)):
                yield path, True, ("*",)


def _archived(given: list[ast.expr], keywords: list[ast.keyword]) -> str:
    """The part of its root folder that an archive is made of, where a constant says which."""
    named = [item.value for item in keywords if item.arg == "base_dir"]
    for value in named or given[3:4]:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value.strip("/") if _FOLDER.fullmatch(value.value) else ""
    return ""


def _pattern(path: str, deep: bool) -> tuple[str, bool, tuple[str, ...]]:
    """The folder before the first wildcard of a path, and the pattern of its last part."""
    parts = path.split("/")
    plain = next((at for at, part in enumerate(parts) if _WILD.search(part)), len(parts) - 1)
    last = parts[-1] if parts[-1] != "**" else "*"
    return "/".join(parts[:plain]), deep or "**" in parts or plain < len(parts) - 1, (last,)


def _scopes(module: CodeModule) -> dict[int, ast.AST]:
    """The function, or the statement at the module's own level, around each call."""
    found: dict[int, ast.AST] = {
        id(inner): statement
        for statement in module.tree.body
        for inner in walk(statement)
        if isinstance(inner, ast.Call)
    }
    for node in module.live:  # outer ones come first
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.update((id(inner), node) for inner in walk(node) if isinstance(inner, ast.Call))
    return found


def _filters(scope: ast.AST) -> tuple[str, ...]:
    """Patterns of the only files that a function takes; empty where it may take others."""
    wanted: set[str] = set()
    tested: set[int] = set()
    for node in walk(scope):
        match node:
            case ast.For(body=[*_, last]) if not isinstance(last, ast.If | ast.Try):
                if any(isinstance(one, ast.If) and not _skips(one) for one in node.body):
                    return ()
            case ast.If(test=test, orelse=orelse):
                tested.update(map(id, walk(test)))
                found = _wants(test, not _skips(node))
                other = bool(orelse) and not isinstance(orelse[0], ast.If)
                if found and other:
                    return ()
                wanted |= found
            case ast.comprehension(ifs=tests):
                for test in tests:
                    tested.update(map(id, walk(test)))
                    wanted |= _wants(test, True)
            case ast.Call() if id(node) not in tested:
                wanted |= _wants(node, True)
    return tuple(sorted(wanted))


def _skips(node: ast.If) -> bool:
    return isinstance(node.body[0], ast.Continue)


def _wants(test: ast.expr, positive: bool) -> set[str]:
    """Patterns of the names for which a condition holds (or doesn't); empty where of any."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _wants(operand, not positive)
        case ast.BoolOp(op=operator, values=values):
            parts = [_wants(value, positive) for value in values]
            if isinstance(operator, ast.And) is positive:
                return next((part for part in parts if part), set())
            return set().union(*parts) if all(parts) else set()
        case ast.Call(func=ast.Attribute(attr="endswith"), args=[argument, *_]) if positive:
            return _suffixes(argument)
        case ast.Call(func=function, args=[_, ast.Constant(value=str(text))]) if positive:
            named = called_name(function) in ("filter", "fnmatch", "fnmatchcase")
            return {text.rpartition("/")[2]} if named else set()  # of a path, its end
        case ast.Compare(left=left, ops=[operator], comparators=[argument]):
            equal = isinstance(operator, ast.Eq | ast.In)
            if isinstance(left, ast.Attribute) and left.attr == "suffix" and equal is positive:
                return _suffixes(argument)
    return set()


def _suffixes(node: ast.expr) -> set[str]:
    texts = [one.value for one in _elements(node) if isinstance(one, ast.Constant)]
    known = len(texts) == len(_elements(node))
    return {f"*{text}" for text in texts if isinstance(text, str)} if known else set()


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]


def _descends(scope: ast.AST) -> bool:
    """Return whether a function looks for folders among what it lists."""
    return any(
        isinstance(node, ast.Call) and called_name(node.func) in ("is_dir", "isdir", "copytree")
        for node in walk(scope)
    )
