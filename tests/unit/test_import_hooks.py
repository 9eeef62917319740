"""Replacements of the import statement: which leave what can't be imported as it was."""

from __future__ import annotations

import pytest

from slim.analysis.unimportable.import_hooks import leave_failures
from slim.analysis.unimportable.names import signals_of

DEBUGGER = """
import builtins

class Manager(ModuleType):
    def __init__(self, name, system_import):
        ModuleType.__init__(self, name)
        self._system_import = system_import
        self._waiting = {}

    def do_import(self, name, *args, **kwargs):
        module = self._system_import(name, *args, **kwargs)
        try:
            self._waiting.pop(name)()
        except:
            pass
        if not self._waiting:
            builtins.__import__ = self._system_import
        return module

manager = Manager(__name__ + ".hook", builtins.__import__)
builtins.__import__ = manager.do_import
"""

PATCHES = """
def patch(dotted):
    original = __import__
    def patched(name, *args, **kwargs):
        if name.startswith(dotted):
            builtins.__import__ = original
            patch_it()
        return original(name, *args, **kwargs)
    builtins.__import__ = patched
"""

TIMES = """
real = builtins.__import__
def timed(name, globals=None, locals=None, fromlist=(), level=0):
    started = time.time()
    real(name, globals, locals, fromlist, level)
    return sys.modules[name]
builtins.__import__ = timed
"""

GIVEN = """
def install(before):
    def hook(name, *rest):
        return before(name, *rest)
    builtins.__import__ = hook
install(before=__import__)
install(builtins.__import__)
"""


@pytest.mark.parametrize("source", [DEBUGGER, PATCHES, TIMES, GIVEN])
def test_a_hook_that_asks_the_original_first_leaves_failures(source: str) -> None:
    assert leave_failures(source.encode())
    assert not signals_of(source.encode()).lazy


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        # catches what the original raises
        (
            PATCHES,
            "        return original(",
            "        with suppress(ImportError): return original(",
        ),
        (
            TIMES,
            "    real(name, globals, locals, fromlist, level)",
            "    try: real(name)\n    except ImportError: sys.modules[name] = Mock()",
        ),
        # gives something else under a condition
        (PATCHES, "            patch_it()", "            return Lazy(name)"),
        (TIMES, "    real(name,", "    level or real(name,"),
        (DEBUGGER, "        module = self._sys", "        yield name\n        module = self._sys"),
        # asks for another name
        (PATCHES, "            patch_it()", "            name = 'json'"),
        (TIMES, "real(name, globals", "real(globals"),
        (TIMES, "def timed(name,", "def timed(self, name,"),
        # asks something else than what was there
        (PATCHES, "original = __import__", "original = load"),
        (PATCHES, "original = __import__", "original = __import__\n    original = load"),
        (PATCHES, "original = __import__", "from lazy import original"),
        (DEBUGGER, "builtins.__import__)", "load)"),
        (DEBUGGER, "= Manager(__name__", "= Manager(*both, __name__"),
        (DEBUGGER, "= system_import", "= self.load"),
        (DEBUGGER, "builtins.__import__ = self._s", "self._system_import = other; x = self._s"),
        (GIVEN, "before=__import__", "before=load"),
        (GIVEN, "before=__import__", "**settings"),
        # isn't the function that is seen
        (PATCHES, "    def patched", "    @lazily\n    def patched"),
        (PATCHES, "__import__ = patched", "__import__ = lazily(patched)"),
        (TIMES, "builtins.__import__ = timed", "timed = lazy\nbuiltins.__import__ = timed"),
        (TIMES, "def timed", "def timed(): pass\ndef timed"),
        (TIMES, "def timed", "def __import__(name): return real\nreal = __import__\ndef timed"),
        (TIMES, "def timed", "(def timed"),
    ],
)
def test_one_that_may_give_what_is_missing_counts(source: str, old: str, new: str) -> None:
    changed = source.replace(old, new)
    assert changed != source
    assert not leave_failures(changed.encode())
    assert signals_of(changed.encode()).lazy
