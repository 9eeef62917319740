"""Folders and files that scripts take: shell scripts, Dockerfiles, makefiles, batch files, Node.js.

``cp -r "$HERE/tests" /x``, ``COPY . /app``, ``find . -name '*.json'``, ``xcopy /s %~dp0data x``. A
script is read line by line: what its variables were assigned, where it went with ``cd``, and which
words of a command that takes files are paths. A word that begins with what only running tells may
mean a package, or lie beside the script.

Sources: POSIX ("Shell Command Language"), Docker's documentation ("Dockerfile reference", "Compose
file reference"), Microsoft's of ``cmd`` and PowerShell, that of Node.js (``fs``, ``path``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from slim.analysis import ReadFile
from slim.analysis.code_paths.listing import Listing
from slim.analysis.code_paths.module import OWN, PACKAGE
from slim.model.record import FileRecord

MAX_SCRIPT = 1 << 18
"""Bytes of a script that is read; a longer one was made by a program."""
_HERE = f"{OWN}/.."
_UNKNOWN = "\x03"
SHELL_SUFFIXES = (".sh", ".bash", ".zsh", ".ksh", ".command", ".bat", ".cmd", ".ps1")
"""Suffixes of scripts that a shell runs."""
_SUFFIXES = (*SHELL_SUFFIXES, ".psm1", ".mk", ".js", ".cjs", ".mjs", ".ts", ".dockerfile")
_NAMES = re.compile(
    r"(?:Dockerfile|Containerfile)(?:[._-].*)?\Z|(?:GNU)?[Mm]akefile\Z|[Jj]ustfile\Z"
    r"|(?:docker-)?compose(?:[._-].*)?\.ya?ml\Z"
)
_SHELL = re.compile(rb"#![^\n]*\b(?:sh|bash|dash|zsh|ksh|node)\b")
_START = 80
"""Bytes in which the name of a script's interpreter is looked for."""
_TAKES = re.compile(
    r"(?<![\w.-])(?:[cg]?cp|rsync|scp|b?s?g?tar|zip|7za?|g?find|fd|xcopy|robocopy|copy|ditto|cpio"
    r"|pax|install|mv|ln|docker|podman|buildah|kubectl|aws|gsutil|rclone|for|COPY|ADD"
    r"|Copy-Item|Compress-Archive|Get-ChildItem)(?:\.exe)?\s"
    r"|\b(?:cp(?:Sync)?|copy(?:Sync)?|readdir(?:Sync)?|opendir(?:Sync)?|static|serveStatic|glob"
    r"(?:Sync)?|directory)\s*\(|^\s*(?:(?:build|context)\s*:|-)\s"
)
"""A command that copies, packs or lists what it is given."""
_REMOVES = re.compile(r"\brm\s|-delete\b|(?<!\w)tar\s+(?:-\S*)?x|\s--extract\b")
"""A command that takes files away, or out of an archive."""
_ASSIGNED = re.compile(
    r"\s*(?:export\s+|local\s+|readonly\s+|set\s+\"?|const\s+|let\s+|var\s+)?\$?([A-Za-z_]\w*)"
    r"\s*[:?]?=\s*(.*)\Z"
)
_VARIABLE = re.compile(
    r"\$\{(\w+)[^{}]*\}|\$\((\w+)\)|\$(\w+)|%~?(\w+)%"
    r"|(?<![\w./\x01-\x03-])([A-Za-z_]\w*)(?=[,)]|/\.\.)"
)
_OWN_PLACE = re.compile(
    r"%~d?p0[\\/]?|\$PSScriptRoot\b|\b__dirname\b|\bimport\.meta\.dirname\b|\$\(CURDIR\)"
    r"|\$\{?(?:BASH_SOURCE(?:\[0\])?|0)%/\*\}?|\$\{0:[ah]+\}|\$\{0:A:h\}"
)
_OWN_FILE = re.compile(r"\$\{?BASH_SOURCE(?:\[0\])?\}?|\$\{?0\}?(?!\w)|\b__filename\b|%~f?0")
_INNER = re.compile(r"\$\(([^()]*)\)|`([^`]*)`")
_JOINED = re.compile(r"\bpath\.(?:posix\.)?(?:join|resolve)\(([^()]*)\)|\bJoin-Path\s+([^|;]*)")
_PLACE = re.compile(rf"[{OWN}{PACKAGE}][^\s\"']*")
_PYTHON = re.compile(
    r"\$\([^$\n]*?\bimport\s+([\w.]+)[^$\n]*__(?:file|path)__[^$\n]*\)|"
    r"`[^`\n]*?\bimport\s+([\w.]+)[^`\n]*__(?:file|path)__[^`\n]*`"
)
"""A command that asks Python where a package lies."""
_COMMENT = re.compile(r"\s*(?:#|//|::|[Rr][Ee][Mm]\s)")
_SPLIT = re.compile(r"&&|\|\||[;|\n]|\bthen\b|\bdo\b")
_WORD = re.compile(r"[^\s\"'`,;|&<>(){}\[\]=]+(?:\[[^\]\s]+\][^\s\"'`,;|&<>(){}\[\]=]*)*")
_WANTED = re.compile(r"-i?name\s+[\"']?([^\s\"']+)")
_SITE = re.compile(r".*/(?:site|dist)-packages/")
_ELSEWHERE = re.compile(r"\s(?:-C|--directory[= ])\s*(\S+)")
_CONTEXT = re.compile(r"\s*(?:COPY|ADD)\s")
_OF_BUILDS = re.compile(r"docker|container|image|build|deploy|\bci\b", re.IGNORECASE)
"""Folders whose Dockerfiles may take all of the folder above as the context of a build."""
_NODE = re.compile(
    rb"\b(?:__dirname|import\.meta\.|express|fastify)\b|[\"'](?:node:)?fs[/\w]*[\"']"
)
"""Words of code for Node.js; a page's script takes no files."""
_NODE_SUFFIXES = (".js", ".cjs", ".mjs", ".ts")
_GOES_ON = {".bat": "^", ".cmd": "^", ".ps1": "`", ".psm1": "`"}
"""What stands at the end of a line that goes on, where that isn't a backslash."""
_MAX_LINE = 2000
_MAX_PATH = 500
_QUOTED = re.compile(r"[\"'`]([^\"'`\s]+)[\"'`]|([\x01\x02][^\s\"'`,)]*)")


def is_script(record: FileRecord, read: ReadFile) -> bool:
    """Return whether a file is a script that isn't Python, by its name or its first bytes."""
    return _is_script(record.path, lambda: bytes(read(record)[:_START]))


def _is_script(path: str, start: Callable[[], bytes]) -> bool:
    name = posixpath.basename(path)
    if path.endswith(_SUFFIXES) or _NAMES.match(name):
        return True
    return "." not in name and _SHELL.match(start()) is not None


def script_listings(path: str, content: bytes) -> tuple[Listing, ...]:
    """Return what a script takes, by path from its own place or from a package."""
    node = path.endswith(_NODE_SUFFIXES)
    if len(content) > MAX_SCRIPT or (node and not _NODE.search(content)):
        return ()
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    apart = _OF_BUILDS.search(posixpath.basename(posixpath.dirname(path))) is not None
    reader = _Script(node=node, apart=apart)
    line = 1
    goes_on = re.escape(_GOES_ON.get(posixpath.splitext(path)[1], "\\"))
    for part in re.split(rf"(?<!{goes_on})\n", text):
        if len(part) <= _MAX_LINE and not _COMMENT.match(part):
            reader.read(re.sub(rf"{goes_on}\n", " ", part), line)
        line += 1 + part.count("\n")
    each = {(one.folder, one.wanted, one.recursive): one for one in reversed(reader.found)}
    return tuple(reversed(each.values()))


def words_of(path: str, content: bytes) -> Iterator[str]:
    """Yield words of a script that may be paths, with what is known of variables and folders.

    Nothing for a text that is no script.
    """
    if len(content) > MAX_SCRIPT or not _is_script(path, lambda: content[:_START]):
        return
    reader = _Script(node=path.endswith(_NODE_SUFFIXES))
    for line in content.decode("utf-8", "replace").splitlines():
        if len(line) > _MAX_LINE or _COMMENT.match(line):
            continue
        reader.read(line, 0)
        for match in _WORD.finditer(reader.known(line)):
            place = None if match[0].startswith(("-", "$")) else reader._place_of(match[0])
            yield place or match[0]


def assigned_in(path: str, content: bytes, name: str) -> Iterator[tuple[str, int]]:
    """Yield what a script gives to a variable of paths, without what it was before, and the line.

    Paths from the script's own place begin with :data:`~slim.analysis.code_paths.module.OWN`.
    """
    if name.encode() not in content or len(content) > MAX_SCRIPT:
        return
    before = re.compile(rf"\$\{{{name}[^{{}}]*\}}|\${name}\b|%{name}%")
    given = re.compile(rf"\b{name}=[\"']?([^\"'\n]*?)[\"']?(?:\s|\Z)")
    reader = _Script(node=path.endswith(_NODE_SUFFIXES))
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _MAX_LINE or _COMMENT.match(line):
            continue
        line = before.sub("", line)
        for match in given.finditer(reader.known(line)):
            yield match[1], number
        reader.read(line, number)


def takes_files(command: str) -> bool:
    """Return whether a command line may copy, pack or list what it is given."""
    return _TAKES.search(command) is not None


def command_listings(command: str, folder: str | None, line: int) -> tuple[Listing, ...]:
    """Return what a command line takes that other code starts in a folder, if that is known."""
    reader = _Script(folder=folder)
    reader.read(command, line)
    return tuple(reader.found)


@dataclass(slots=True)
class _Script:
    """A script as far as it was read."""

    node: bool = False
    """It is code for Node.js, in which only what is quoted may be a path."""
    apart: bool = False
    """It lies in a folder of its own, beside what it takes."""
    values: dict[str, str] = field(default_factory=dict)
    folder: str | None = _HERE
    """Where it is; None where that lies outside of what is known."""
    found: list[Listing] = field(default_factory=list)

    def read(self, line: str, number: int) -> None:
        """Read one line."""
        line = self.known(line)
        for command in _SPLIT.split(line):
            assigned = _ASSIGNED.match(command)
            if assigned is not None:
                self.values[assigned[1]] = _first(assigned[2])[:_MAX_PATH]
            parts = command.split()
            if parts[:1] in (["cd"], ["pushd"]):
                self.folder = self._place_of(_first(" ".join(parts[1:])))
            elif _TAKES.search(command) and not _REMOVES.search(line):
                self._take(command, number)

    def known(self, line: str) -> str:
        """Return a line with what is known of variables and of the script's own place put in."""
        line = _OWN_PLACE.sub(lambda _: f"{_HERE}/", line)
        line = _OWN_FILE.sub(lambda _: OWN, line)
        line = _PYTHON.sub(lambda match: f"{PACKAGE}{match[1] or match[2]}{PACKAGE}", line)
        for _ in range(5):
            line = _VARIABLE.sub(self._value, line)
            line, again = _INNER.subn(_substituted, line[: 4 * _MAX_LINE])
            line, joined = _JOINED.subn(_together, line)
            if not again and not joined:
                break
        return line

    def _value(self, match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group is not None)
        unknown = name if match[5] is not None else _UNKNOWN
        return self.values.get(name, unknown)

    def _place_of(self, path: str) -> str | None:
        """The folder that ``cd`` leads to."""
        if path.startswith((OWN, PACKAGE)):
            return path
        if _SITE.match(f"{path}/"):
            return path
        if not path or path.startswith(("/", _UNKNOWN, "~")) or self.folder is None:
            return None
        return f"{self.folder}/{path}"[:_MAX_PATH]

    def _take(self, command: str, number: int) -> None:
        text = f'"{command.strip()[:30]}..."'.translate({1: "$", 2: "$", 3: "$"})
        wanted = tuple(_WANTED.findall(command)) or ("*",)
        command = _WANTED.sub(" ", command)
        folder = self.folder
        if (elsewhere := _ELSEWHERE.search(command)) is not None:
            self.folder = self._place_of(_first(elsewhere[1]))
            command = command.replace(elsewhere[0], " ")
        context = _CONTEXT.match(command) is not None
        found = _QUOTED.finditer(command) if self.node else _WORD.finditer(command)
        for match in found:
            word = match[0].strip("\"'`").replace("\\", "/")
            for path in self._paths(word, context):
                self.found += _listings(path, wanted, number, text)
        self.folder = folder

    def _paths(self, word: str, context: bool) -> Iterator[str]:
        """The paths that a word of a command may mean; ``context`` says, from around the script."""
        for part in word.split(":") if "://" not in word else ():
            if part.startswith((OWN, PACKAGE)) or _SITE.match(part):
                yield part
            elif part.startswith(_UNKNOWN):
                top, _, rest = part.lstrip(_UNKNOWN).strip("/").partition("/")
                if top.isidentifier():
                    yield f"{PACKAGE}{top}{PACKAGE}/{rest}"
                    yield f"{_HERE}/{top}/{rest}"
            elif not part.startswith(("-", "/", "~")) and _UNKNOWN not in part and part:
                if self.folder is not None:
                    yield f"{self.folder}/{part}"
                if context and (self.apart or part.strip("./*")):
                    yield f"{_HERE}/../{part}"


def _listings(path: str, wanted: tuple[str, ...], number: int, text: str) -> Iterator[Listing]:
    """Yield what a path means to a command that takes it: a folder whole, or files by name."""
    site = _SITE.match(path)
    if site is not None:
        top, _, rest = path[site.end() :].partition("/")
        if not top.isidentifier():
            return
        path = f"{PACKAGE}{top}{PACKAGE}/{rest}"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    while parts and parts[-1] == "*":
        parts.pop()
    if "**" in parts:
        last = parts[-1] if parts[-1] != "**" else "*"
        yield Listing("/".join(parts[: parts.index("**")]), (last,), True, number, text)
        return
    if parts:
        yield Listing("/".join(parts), wanted, True, number, text)
    if len(parts) > 1 and parts[-1] != "..":
        yield Listing("/".join(parts[:-1]), (parts[-1],), False, number, text)


def _first(text: str) -> str:
    """The first word of a value; what is quoted is one word."""
    text = text.strip()
    quoted = re.match(r"[\"']([^\"']*)[\"']", text)
    if quoted is not None:
        return quoted[1]
    return text.split()[0].rstrip(';"') if text.split() else ""


def _substituted(match: re.Match[str]) -> str:
    """Return the path that a command in the place of a word comes to, as far as it shows."""
    inner = match[1] if match[1] is not None else match[2]
    place = _PLACE.search(inner)
    if place is not None:
        up = "/.." if re.match(r"\s*dirname\b", inner) else ""
        return place[0] + up
    return _HERE if re.match(r"\s*(?:shell\s+)?pwd\b", inner) else _UNKNOWN


def _together(match: re.Match[str]) -> str:
    parts = re.split(r"[,\s]+", match[1] or match[2] or "")
    return "/".join(part.strip("\"'` ") for part in parts if part and not part.startswith("-"))
