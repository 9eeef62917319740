"""Words of Python code that lists, walks or copies folders: what makes a file worth parsing."""

from __future__ import annotations

import re
from enum import StrEnum

from slim.analysis.vocabulary import AnyOf, vocabulary

_PLACES = AnyOf(
    *(b"__file__", b"__path__", b"getfile", b"files(", b"resource_", b"as_file"),
    *(b"PackageLoader", b"_folder", b"_dir", b"contents(", b"find_spec", b"getsourcefile"),
    *(b"getabsfile", b"get_loader", b"base_dir", b"make_archive", b"distribution("),
)
OTHER_PLACE = re.compile(
    rb"[\w\])]\.__(?:file|path)__|\bfiles\s*\(|resource_|as_file|PackageLoader|\bcontents\s*\("
    rb"|find_spec|get(?:source|abs)?file\s*\(|get_loader|make_archive|\bdistribution\("
)
"""Words by which code finds the folder of another package."""
_FUNCTIONS = re.compile(
    rb"\b(?:from_asset|FileArchive|UploadDirectory|add_local_\w+|from_local_\w+|log_code"
    rb"|put\w{0,10}|images\.build)\s*\(|"
    rb"(?:glob|walk|listdir|iterdir|scandir|contents|as_file|StaticFiles|mount|copy_?tree|"
    rb"addPyFile|addFile|FileSystemLoader|PackageLoader|TemplateLookup|"
    rb"cookiecutter|run_copy|create_archive|"
    rb"(?:copy|zip|tar|make|archive|pack|upload|sync|bundle|deploy|push|transfer|send)_?\w{0,9}"
    rb"(?:dir|directory|folder|all|recursive|package|archive|files|tree))\s*\("
)
_QUOTED = re.compile(rb"[\"'](?:cd|cp|tar|zip|find|xcopy|robocopy|ditto)[\"' ]")
_OTHERS = re.compile(
    rb"(?:static|template|assets)_(?:folder|dir)\s*=|"
    rb"\b(?:code_paths?|extra_packages|folder_path|add_python_paths)\s*=|"
    rb"(?:rsync|scp|docker|runtime_env|working_dir|py_modules|source_dir|code_dir)[\"' =]|"
    rb"writepy|\barcname|\btarfile\b|\bimportlib(?:[._]| import )metadata\b"
)
_OTHER_WORDS = AnyOf(
    *(b"static_", b"template_", b"assets_", b"code_path", b"extra_packages", b"folder_path"),
    *(b"add_python_paths", b"rsync", b"scp", b"docker", b"runtime_env", b"working_dir"),
    *(b"py_modules", b"source_dir", b"code_dir", b"writepy", b"arcname", b"tarfile"),
    *(b"importlib.metadata", b"importlib_metadata", b"importlib import metadata"),
)
"""One of these is in each of those."""
_NO_WALK = b"ast.walk("
_ANY_SOURCE = re.compile(rb"[}s+/*\"']\s*\.?pyw?[\"']")
"""The end of a path to a module of which something else tells the name."""


_TAKERS = tuple(
    (word, re.compile(re.escape(word) + rb"\("))
    for word in (
        *(b".glob", b"rglob", b"walk", b"iterdir", b"copytree", b"copy_tree", b"make_archive"),
        *(b"listdir", b"scandir"),
    )
)
_PLACE = rb"[\w.]*(?:ROOT|HERE|DIR|FOLDER|BASE|HOME|PATH|root|here|folder|_dir|_path)\w*(?:\(\))?"
_RECEIVER = re.compile(_PLACE + rb"\.?\Z")
_ARGUMENT = re.compile(rb"[^()\n]*(?:\b\w+\()?" + _PLACE)
_NEAR = 60


class MayList(StrEnum):
    """The folders that code may list, by its words."""

    NONE = ""
    OWN = "own"
    """Those of its own package."""
    ANY = "any"


def finds_places(source: bytes) -> bool:
    """Return whether code has words by which it finds its own folder, or another package's."""
    return _PLACES.within(source)


def has_list_words(source: bytes) -> bool:
    """Return whether code has words by which it lists, walks or copies folders."""
    return (
        _FUNCTIONS.search(_calls(source).replace(_NO_WALK, b"")) is not None
        or _QUOTED.search(source) is not None
        or (_OTHER_WORDS.within(source) and _OTHERS.search(source) is not None)
    )


def _calls(source: bytes) -> bytes:
    """The texts before opening brackets, back to a space: each once, so few have to be searched."""
    pieces = source.split(b"(")[:-1]
    ends = {piece.split()[-1] for piece in pieces if piece and not piece.isspace()}
    return b"(\n".join([*ends, b""])


def may_list_folders(source: bytes) -> MayList:
    """Return which folders code may list, or read a module of that only running names."""
    if _lists_place(source):
        return MayList.ANY
    if not finds_places(source):
        return MayList.NONE
    if not has_list_words(source) and _ANY_SOURCE.search(source) is None:
        return MayList.NONE
    return MayList.OWN if OTHER_PLACE.search(source) is None else MayList.ANY


def _lists_place(source: bytes) -> bool:
    """Return whether code may list a place that another module tells, by what it is called."""
    words = vocabulary(source)
    for word, pattern in _TAKERS:
        for match in pattern.finditer(source) if word in words else ():
            before = source[max(0, match.start() - _NEAR) : match.start() + 1]
            method = before.endswith(b".") or before[-2:-1] == b"."
            if (method and _RECEIVER.search(before[:-1])) or _ARGUMENT.match(
                source, match.end(), match.end() + _NEAR
            ):
                return True
    return False
