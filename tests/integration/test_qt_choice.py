"""Chosen modules of Qt, with wheels from the index: programs that show windows run as before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.platform_wheels import pip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="has wheels for Linux"),
    pytest.mark.xdist_group("wheels"),
]

WHEELS = {"PySide6": "pyside6-essentials>=6.8,<7", "PyQt6": "pyqt6>=6.8,<7"}
START = """
import importlib, os, sys
os.environ |= {"QT_QPA_PLATFORM": "offscreen", "QT_QUICK_BACKEND": "software"}
def load(*names):
    return [importlib.import_module(f"BINDING.Qt{name}") for name in names]
svg = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="16" height="16" fill="red"/></svg>'
open("a.svg", "w").write(svg)
"""
USES = {
    "Widgets": """
Core, Gui, Widgets = load("Core", "Gui", "Widgets")
app = Widgets.QApplication([])
assert Gui.QIcon("a.svg").pixmap(16, 16).toImage().pixelColor(8, 8).red() == 255
image = Gui.QImage(8, 8, Gui.QImage.Format.Format_RGB32)
image.fill(Gui.QColor("blue"))
for kind in ("png", "jpg", "webp", "ico"):
    assert image.save(f"x.{kind}") and Gui.QImage(f"x.{kind}").pixelColor(4, 4).blue() > 200, kind
window = Widgets.QMainWindow()
window.setCentralWidget(Widgets.QPushButton(Gui.QIcon("a.svg"), "push"))
window.menuBar().addMenu("File").addAction("Open")
for style in Widgets.QStyleFactory.keys():
    app.setStyle(style)
    window.resize(200, 100)
    window.show()
    app.processEvents()
    shown = Gui.QImage(window.size(), Gui.QImage.Format.Format_ARGB32)
    window.render(shown)
    print(style, len({shown.pixel(x, y) for x in range(0, 200, 5) for y in range(0, 100, 5)}) > 3)
""",
    "Quick": """
Core, Gui, Qml, Quick = load("Core", "Gui", "Qml", "Quick")
open("main.qml", "w").write('''
import QtQuick
import QtQuick.Controls
import QtQuick.Layouts
import QtQuick.Shapes
ApplicationWindow {
  visible: true; width: 200; height: 100
  ColumnLayout {
    Button { text: "b"; icon.source: "a.svg" } Slider {} ComboBox { model: ["a"] }
    Shape { ShapePath { strokeColor: "red"; PathLine { x: 9; y: 9 } } }
  }
}
''')
app = Gui.QGuiApplication([])
engine, warned = Qml.QQmlApplicationEngine(), []
engine.warnings.connect(lambda found: warned.extend(each.toString() for each in found))
engine.load(Core.QUrl.fromLocalFile(os.path.abspath("main.qml")))
assert engine.rootObjects(), warned
window = engine.rootObjects()[0]
for _ in range(9):
    app.processEvents()
shown = window.grabWindow()
print(len({shown.pixel(x, y) for x in range(0, 200, 5) for y in range(0, 100, 5)}), warned)
""",
}
STYLES = {"Widgets": ("",), "Quick": ("", "Basic", "Material")}
ABSENT = {"Widgets": ("QtQuick", "QtSql"), "Quick": ("QtQuickWidgets", "QtSql")}


@pytest.fixture(scope="module", params=sorted(WHEELS))
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as ``pip install --target`` makes it, with one of the bindings."""
    folder = tmp_path_factory.mktemp("qt") / "layer"
    site = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    pip("install", "--only-binary=:all:", "--target", site, WHEELS[request.param])
    return folder


def answers(folder: Path, module: str, work: Path) -> list[str]:
    """What a use of a module prints, once for each style."""
    (site,) = folder.glob("lib/python3*/site-packages")
    name = "PySide6" if (site / "PySide6").is_dir() else "PyQt6"
    code = START.replace("BINDING", name) + USES[module]
    said = []
    for style in STYLES[module]:
        work.mkdir(exist_ok=True)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("Q")},
            "PYTHONPATH": str(site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(work),
            **({"QT_QUICK_CONTROLS_STYLE": style} if style else {}),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=work,
            env=environment,
            check=False,
        )
        said.append(done.stdout + done.stderr if done.returncode else done.stdout)
    return said


@pytest.mark.parametrize("module", sorted(USES))
def test_programs_of_chosen_modules_run_as_before(
    installed: Path, module: str, tmp_path: Path
) -> None:
    before = answers(installed, module, tmp_path / "before")
    if "cannot open shared object" in before[0]:
        pytest.skip(f"Qt doesn't start on this machine: {before[0].strip().splitlines()[-1]}")
    assert "Error" not in before[0]
    config = tmp_path / "slim.toml"
    config.write_text(f'schema = 1\n[choose]\nqt = ["{module}"]\n')
    out = tmp_path / "out"
    assert main(["run", str(installed), "-o", str(out), "--config", str(config), "-q"]) == 0
    assert answers(out, module, tmp_path / "after") == before
    (site,) = out.glob("lib/python3*/site-packages")
    left = {path.name.partition(".")[0] for path in site.glob("P*/Qt*.so")}
    assert left.isdisjoint(ABSENT[module])
    assert {"QtCore", "QtGui", f"Qt{module}"} <= left
