"""Qt modules that text names: imports of QML, and classes of widgets in Designer's forms.

Sources: Qt's documentation, "QML Module Definition qmldir Files", "Import Statements" (QML),
"Importing JavaScript Resources in QML", "UI file format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_QML_FILES: Final = (".qml", ".js", ".mjs")
_PYTHON: Final = (".py", ".pyw")
_FORM: Final = ".ui"
_STATEMENT = re.compile(rb"^[ \t]*\.?import[ \t]+(Qt[\w.]*)", re.M)
_IN_STRING = re.compile(rb"(?<![\w.])import[ \t]+(Qt[\w.]*)")
_PYTHON_IMPORT = re.compile(rb"\bfrom[ \t]+[\w.]+[ \t]+import[^\n]*")
_QMLDIR = re.compile(
    rb"^[ \t]*(?:(?:optional|default)[ \t]+)?(?:import|depends)[ \t]+(Qt[\w.]*)", re.M
)
_CLASS = re.compile(rb"<(?:class|extends)>\s*(Q\w+)|<widget\s+class=\"(Q\w+)\"")
_HEADER = re.compile(rb"<header[^>]*>[^<]*?\bQt([A-Z0-9]\w+?)(?:\.h)?[/.<]")
_CLASSES: Final = {
    "QAxWidget": "AxContainer",
    "QChartView": "Charts",
    "QOpenGLWidget": "OpenGLWidgets",
    "QPdfView": "PdfWidgets",
    "QPdfPageSelector": "PdfWidgets",
    "QQuickWidget": "QuickWidgets",
    "QSvgWidget": "SvgWidgets",
    "QVideoWidget": "MultimediaWidgets",
    "QWebEngineView": "WebEngineWidgets",
}


def may_mention(path: str) -> bool:
    """Return whether a file of this name may import QML, or name widgets."""
    return path.endswith((*_QML_FILES, *_PYTHON, _FORM)) or path.rpartition("/")[2] == "qmldir"


def qml_imports(path: str, text: bytes) -> Iterator[tuple[str, int]]:
    """Yield the QML modules of Qt that a file imports, in strings of Python too, with its line."""
    if path.endswith(_QML_FILES):
        pattern = _STATEMENT
    elif path.rpartition("/")[2] == "qmldir":
        pattern = _QMLDIR
    elif path.endswith(_PYTHON) and b"import Qt" in text:
        text = _PYTHON_IMPORT.sub(lambda found: b" " * len(found[0]), text)
        pattern = _IN_STRING
    else:
        return
    for found in pattern.finditer(text):
        yield found[1].decode().rstrip("."), text.count(b"\n", 0, found.start(1)) + 1


def form_modules(path: str, text: bytes) -> Iterator[tuple[str, int]]:
    """Yield the Qt modules whose widgets a form of Designer names, each with its line."""
    if not path.endswith(_FORM):
        return
    for found in _CLASS.finditer(text):
        module = _CLASSES.get((found[1] or found[2]).decode())
        if module is not None:
            yield module, text.count(b"\n", 0, found.start()) + 1
    for found in _HEADER.finditer(text):
        yield found[1].decode(), text.count(b"\n", 0, found.start()) + 1
