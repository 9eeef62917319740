"""Words of Python code that may compile C when it runs: what makes a file worth parsing."""

from __future__ import annotations

import re

from slim.analysis.vocabulary import AnyOf, vocabulary

INCLUDE_FLAGS = ("-I", "-isystem", "/I")
COMPILERS = frozenset(
    {
        *("gcc", "g++", "cc", "c++", "clang", "clang++", "cl", "cl.exe", "nvcc", "nvcc.exe"),
        *("hipcc", "tcc", "icx", "icpx", "clang-cl", "zig", "ccache"),
    }
)
BUILD_TOOLS = frozenset(
    {
        *("cmake", "make", "gmake", "ninja", "meson", "nmake", "msbuild", "scons", "bazel"),
        *("qmake", "mingw32-make", "xmake"),
    }
)
"""Programs that build what sources in a package say."""
COMPILER_VARIABLES = frozenset({"CC", "CXX", "NVCC", "HOSTCC", "CUDACXX", "HIPCC"})
"""Variables of the environment that name a compiler."""
COMMAND = re.compile(
    r"(?:\S*/)?(?:[\w.]+-)*(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|nvcc|hipcc|icpx?|icx)(?:-[\d.]+)?"
    r"(?:\.exe)?\s.*-(?:I|isystem|shared|fPIC|include)",
    re.DOTALL,
)
"""A command line of a compiler."""
_COMMAND_HINT = re.compile(
    rb"(?:cc|\+\+|clang|icpx?|icx)(?:-[\d.]+)?\s[^\n]*-(?:I|isystem|shared|fPIC|inc)"
)
_COMMAND_FLAGS = AnyOf(b"-I", b"-isystem", b"-shared", b"-fPIC", b"-inc")
"""One of these is in each such command line."""
_WORDS = AnyOf(
    b"get_include",
    b"get_python_inc",
    b"get_numpy_include",
    b"INCLUDEPY",
    b"LIBPL",
    b"INCLUDEDIR",
    b"platinclude",
    b"new_compiler",
    b"cythonize",
    b"load_inline",
    b"pyximport",
    b"cpp_extension",
    b"f2py",
    b"cppimport",
    b"build_ext",
    b"get_config_var",
    b"get_config_h_filename",
    b"get_makefile_filename",
    b"get_path_names",
)
_INCLUDE_FOLDERS = (b'"include', b"'include", b"/include", b"include/", b"\\include", b"Include")
_SYS_PREFIX = re.compile(rb"sys\s*\.\s*(?:base_)?(?:exec_)?prefix")
_CONFIG_WORD = re.compile(rb"python[\w.{}%]*-config\b")
_QUOTES = (b"'", b'"')
_DRIVERS = AnyOf(
    *(
        quote + name.encode() + quote
        for name in sorted(COMPILERS | COMPILER_VARIABLES)
        for quote in _QUOTES
    )
)
_DRIVER_FLAGS = AnyOf(*(flag.encode() for flag in INCLUDE_FLAGS))
_ASKED = ("pkg-config", "pkgconf")
_TOOL = re.compile(
    rb"\(\s*\[?\s*[rfRF]?[\"'](?:"
    + b"|".join(re.escape(name.encode()) for name in sorted((*BUILD_TOOLS, *_ASKED)))
    + rb")(?:\.exe)?[\"' ]"
)
"""A call that is given the name of a build tool first."""
_TOOL_WORDS = AnyOf(b"make", b"ninja", b"meson", b"msbuild", b"scons", b"bazel", b"pkg-c", b"pkgc")
"""One of these is in the name of each build tool."""


def has_build_words(source: bytes) -> bool:
    """True if Python code has words that only code has which compiles, or asks for includes."""
    words = vocabulary(source)
    return (
        _WORDS.within(source)
        or (b"get_path" in words and b"include" in words and b"sysconfig" in words)
        or (b"Extension" in words and (b"setuptools" in words or b"distutils" in words))
        or (
            b"prefix" in words
            and _SYS_PREFIX.search(source) is not None
            and any(map(source.__contains__, _INCLUDE_FOLDERS))
        )
        or (b"-config" in source and _CONFIG_WORD.search(source) is not None)
        or (_DRIVER_FLAGS.within(source) and _DRIVERS.within(source))
        or (_COMMAND_FLAGS.within(source) and _COMMAND_HINT.search(source) is not None)
        or (_TOOL_WORDS.within(source) and _TOOL.search(source) is not None)
    )
