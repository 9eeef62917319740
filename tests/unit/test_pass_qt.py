"""The pass ``qt``: what of Qt goes with modules that weren't chosen, and what holds others."""

from __future__ import annotations

import pytest

from slim.analysis.facts import Facts
from slim.analysis.qt.mentions import form_modules, qml_imports
from slim.analysis.qt.names import Part, module_file, needed_module, qml_path
from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError
from slim.model.plan import Plan, SkipReason
from slim.model.progress import Silent
from slim.model.rule import Safety
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from tests.support.linked_elf import elf, linked_stack, read_fake
from tests.support.virtual_stacks import Contents


def library(*modules: str) -> bytes:
    return elf("needed=" + ":".join(f"libQt6{module}.so.6" for module in modules))


def extension(*modules: str, imports: tuple[str, ...] = ()) -> bytes:
    needed = ":".join(f"libQt6{module}.so.6" for module in modules)
    return elf(f"needed={needed} runpath=$ORIGIN/Qt/lib:$ORIGIN/Qt6/lib", *imports)


def binding(name: str, inner: str) -> dict[str, Contents]:
    """A small binding: six modules, plug-ins, QML modules with and without a name of their own."""
    top = f"$site/{name}"
    libraries = {
        "Core": (),
        "Gui": ("Core",),
        "Widgets": ("Gui", "Core"),
        "Network": ("Core",),
        "Svg": ("Gui", "Core"),
        "Sql": ("Core",),
        "Qml": ("Network", "Core"),
        "Quick": ("Qml", "Gui"),
        "QuickControls2": ("Quick", "Qml"),
        "QuickStyle": ("QuickControls2",),
        "QmlLocalStorage": ("Qml", "Sql"),
        "3DCore": ("Gui",),
        "Quick3D": ("Quick", "3DCore"),
        "Help": ("Sql", "Widgets"),
        "SqlQuick": ("Sql", "Quick"),
    }
    imported = {
        "Core": (),
        "Gui": ("Core",),
        "Widgets": ("Gui", "Core"),
        "Network": ("Core",),
        "Svg": ("Gui",),
        "Sql": ("Widgets",),
        "Qml": ("Network", "Core"),
        "Quick": ("Qml", "Gui"),
        "Help": ("Sql",),
    }
    qml = {
        "QtQml": ("Qml",),
        "QtQuick": ("Quick", "Qml"),
        "QtQuick/Controls": ("QuickControls2", "Qml"),
        "QtQuick/Controls/Style": ("QuickStyle", "Qml"),
        "QtQuick/LocalStorage": ("QmlLocalStorage", "Qml"),
        "QtQuick/Scene": ("3DCore", "Qml"),
        "QtQuick/Scene/Parts": ("Qml",),
        "QtQuick3D": ("Quick3D", "Qml"),
        "QtSql": ("SqlQuick", "Qml"),
    }
    plugins = {
        "platforms/libqxcb.so": ("Gui", "Core"),
        "iconengines/libqsvgicon.so": ("Svg", "Gui"),
        "imageformats/libqjpeg.so": ("Gui",),
        "imageformats/libqpdf.so": ("Pdf", "Gui"),
        "tls/libqopensslbackend.so": ("Network",),
        "sqldrivers/libqsqlite.so": ("Sql",),
        "mystery/libnew.so": ("Core",),
    }
    files: dict[str, Contents] = {
        f"{top}/__init__.py": "",
        f"{top}/{inner}/lib/libicu.so.73": elf(),
    }
    for module, needs in libraries.items():
        files[f"{top}/{inner}/lib/libQt6{module}.so.6"] = elf(
            f"soname=libQt6{module}.so.6 runpath=$ORIGIN "
            f"needed={':'.join(f'libQt6{need}.so.6' for need in needs)}"
        )
    for module, imports in imported.items():
        files[f"{top}/Qt{module}.abi3.so"] = extension(
            module, imports=tuple(f"{name}.Qt{each}" for each in imports)
        )
        files[f"{top}/Qt{module}.pyi"] = "class X: ..."
    if name == "PySide6":
        files[f"{top}/scripts/qml.py"] = "import PySide6.QtQml, PySide6.QtWidgets\n"
        files[f"{top}/support/deprecated.py"] = "import PySide6.QtHelp\n"
        files[f"{top}/typesystems/help.xml"] = "<typesystem package='PySide6.QtHelp'/>"
    for path, needs in plugins.items():
        files[f"{top}/{inner}/plugins/{path}"] = elf(
            f"runpath=$ORIGIN/../../lib needed={':'.join(f'libQt6{need}.so.6' for need in needs)}"
        )
    for folder, needs in qml.items():
        up = "/".join([".."] * (folder.count("/") + 2))
        place = f"{top}/{inner}/qml/{folder}"
        files[f"{place}/qmldir"] = f"module {folder.replace('/', '.')}\nplugin p\n"
        files[f"{place}/images/a.png"] = "x"
        files[f"{place}/libp.so"] = elf(
            f"runpath=$ORIGIN/{up}/lib needed={':'.join(f'libQt6{need}.so.6' for need in needs)}"
        )
    return files


def plan(
    more: dict[str, Contents], *chosen: str, profile: Safety = Safety.STANDARD, inner: str = "Qt"
) -> Plan:
    name = "PySide6" if inner == "Qt" else "PyQt6"
    made = linked_stack({"app-main": {"$site/app.py": "", **binding(name, inner), **more}})
    facts = Facts(
        stack=made.stack, inventory=made.inventory, read=made.read, read_dynamic=read_fake
    )
    packs = load_config(SCHEMAS).packs
    choose = {"qt": chosen} if chosen else {}
    return Planner(facts, Config(packs=packs, choose=choose, profile=profile), Silent()).plan()


def left(found: Plan, inner: str = "Qt") -> dict[str, set[str]]:
    """What stays: modules by their extension and library, plug-ins, and QML modules."""
    name = "PySide6" if inner == "Qt" else "PyQt6"
    gone = {key[1].partition("site-packages/")[2] for key in found.actions}
    paths = {path.removeprefix("$site/") for path in binding(name, inner)} - gone
    return {
        "extensions": {
            path.split("/")[-1].split(".")[0][2:] for path in paths if path.endswith(".abi3.so")
        },
        "libraries": {path.split("libQt6")[1][:-5] for path in paths if "/libQt6" in path},
        "plugins": {
            path.split("/plugins/")[1].split("/")[-1] for path in paths if "plugins" in path
        },
        "qml": {path.split("/qml/")[1].rpartition("/")[0] for path in paths if "/qmldir" in path},
    }


GUI = {"libqxcb.so", "libqsvgicon.so", "libqjpeg.so", "libnew.so"}
QUICK_QML = {"QtQml", "QtQuick", "QtQuick/Controls", "QtQuick/Controls/Style"}


def refused(found: Plan, part: str) -> list[tuple[SkipReason, str]]:
    return [
        (skipped.reason, " ".join(map(str, skipped.evidence)))
        for skipped in found.skipped
        if part in skipped.record.path and skipped.pass_name == "qt"
    ]


@pytest.mark.parametrize("inner", ["Qt", "Qt6"])
def test_what_chosen_modules_need_stays(inner: str) -> None:
    found = left(plan({}, "Widgets", inner=inner), inner)
    assert found == {
        "extensions": {"Core", "Gui", "Widgets"},
        "libraries": {"Core", "Gui", "Widgets", "Svg"},
        "plugins": GUI,
        "qml": set(),
    }


def test_quick_brings_the_qml_modules_of_its_family() -> None:
    found = left(plan({}, "Quick"))
    assert found["qml"] == QUICK_QML
    assert found["extensions"] == {"Core", "Gui", "Network", "Qml", "Quick"}
    assert found["libraries"] == {
        *("Core", "Gui", "Network", "Svg", "Qml", "Quick", "QuickControls2", "QuickStyle")
    }
    assert found["plugins"] == {*GUI, "libqopensslbackend.so"}


def test_a_module_beside_quick_brings_its_own_qml_modules() -> None:
    found = left(plan({}, "Quick", "Sql"))
    assert found["qml"] == {*QUICK_QML, "QtSql", "QtQuick/LocalStorage"}
    found = left(plan({}, "Quick", "3DCore"))
    assert found["qml"] == {*QUICK_QML, "QtQuick/Scene", "QtQuick/Scene/Parts"}


def test_qml_alone_brings_no_quick() -> None:
    found = left(plan({}, "Qml"))
    assert found["qml"] == {"QtQml"}
    assert found["extensions"] == {"Core", "Network", "Qml"}
    assert found["plugins"] == {"libqopensslbackend.so", "libnew.so"}


def test_what_an_extension_imports_stays_though_it_doesnt_link_it() -> None:
    found = left(plan({}, "Sql"))
    assert found["extensions"] == {"Core", "Gui", "Widgets", "Sql"}
    assert "libqsqlite.so" in found["plugins"]


@pytest.mark.parametrize(
    ("chosen", "stays"),
    [(("Widgets",), False), (("Qml",), False), (("Widgets", "Qml"), True)],
)
def test_a_module_of_the_binding_goes_with_what_it_imports(
    chosen: tuple[str, ...], stays: bool
) -> None:
    found = plan({}, *chosen)
    assert any(key[1].endswith("scripts/qml.py") for key in found.actions) is not stays
    assert refused(found, "scripts/qml.py") == []


def test_a_module_of_the_binding_that_others_import_holds_what_it_imports() -> None:
    found = plan({"$site/app.py": "import PySide6.scripts.qml\n"}, "Core")
    assert {"Qml", "Widgets"} <= left(found)["extensions"]
    assert "app.py" in refused(found, "scripts/qml.py")[0][1]


def test_nothing_goes_where_nothing_is_chosen() -> None:
    assert len(left(plan({}))["libraries"]) == 15


@pytest.mark.parametrize(
    ("file", "text", "held", "reason"),
    [
        ("app.py", "from PySide6 import QtHelp\n", "QtHelp.abi3", SkipReason.IMPORTED),
        ("app.py", "import PySide6.QtSql as s\n", "libqsqlite.so", SkipReason.IMPORTED),
        (
            "app.py",
            "try:\n  import PySide6.QtSql\nexcept ImportError: pass\n",
            "QtSql.abi3",
            "imported",
        ),
        (
            "view.qml",
            "import QtQuick.Controls\nButton {}",
            "qml/QtQuick/Controls/libp",
            "referenced",
        ),
        ("view.qml", "import QtQuick3D\nView3D {}", "libQt6Quick3D.so.6", SkipReason.LINKED),
        ("app.py", "Q = b'import QtQuick\\nItem {}'\n", "qml/QtQuick/libp.so", "referenced"),
        ("tool.js", ".import QtQuick.LocalStorage 2.0 as S", "libQt6Sql.so.6", SkipReason.LINKED),
        ("lib/libmine.so.1", "needed=libQt6Help.so.6", "libQt6Help.so.6", SkipReason.LINKED),
    ],
)
def test_what_others_use_is_refused_and_told(
    file: str, text: str, held: str, reason: SkipReason
) -> None:
    content: Contents = text
    if file.endswith(".so.1"):
        content = elf(f"{text} runpath=$ORIGIN/../PySide6/Qt/lib")
    found = plan({f"$site/{file}": content}, "Widgets")
    reasons = refused(found, held)
    assert [each for each, _ in reasons] == [reason]
    assert file in reasons[0][1]


@pytest.mark.parametrize(
    "text",
    [
        "# import PySide6.QtSql\n",
        '"""from PySide6 import QtSql"""\n',
        "from qtpy import QtSql\n",
        "import QtSqlite\n",
    ],
)
def test_what_only_looks_like_a_use_holds_nothing(text: str) -> None:
    assert refused(plan({"$site/app.py": text}, "Widgets"), "QtSql") == []


def test_guarded_imports_dont_hold_in_aggressive() -> None:
    text = "try:\n  import PySide6.QtSql\nexcept ImportError: pass\n"
    found = plan({"$site/app.py": text}, "Widgets", profile=Safety.AGGRESSIVE)
    assert "Sql" not in left(found)["extensions"]


def test_what_is_kept_holds_what_it_needs() -> None:
    made = linked_stack({"app-main": {"$site/app.py": "", **binding("PySide6", "Qt")}})
    facts = Facts(
        stack=made.stack, inventory=made.inventory, read=made.read, read_dynamic=read_fake
    )
    config = Config(
        packs=load_config(SCHEMAS).packs,
        choose={"qt": ("Core",)},
        keep=("$site/PySide6/Qt/lib/libQt6Quick.so.6",),
    )
    found = left(Planner(facts, config, Silent()).plan())
    assert {"Quick", "Qml", "Network", "Gui"} <= found["libraries"]
    assert "QtQuick" in found["qml"]


def test_a_module_that_isnt_there_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(ConfigError) as raised:
        plan({}, "Widgets", "Charts")
    text = str(raised.value.problems[0])
    assert "choose.qt" in text
    assert "'Charts'" in text
    assert all(name in text for name in ("3DCore", "Core", "Help", "QmlLocalStorage", "Widgets"))


@pytest.mark.parametrize(
    ("path", "module", "part"),
    [
        ("lib/python3.13/site-packages/PySide6/QtQuick.abi3.so", "Quick", Part.EXTENSION),
        ("lib/python3.13/site-packages/PyQt6/Qt3DCore.abi3.so", "3DCore", Part.EXTENSION),
        ("Lib/site-packages/PyQt6/QtGui.pyd", "Gui", Part.EXTENSION),
        ("Lib/site-packages/PySide6/QtGui.pyi", "Gui", Part.STUB),
        ("Lib/site-packages/PySide6/Qt6Gui.dll", "Gui", Part.LIBRARY),
        ("Lib/site-packages/PyQt6/Qt6/bin/Qt6Gui.dll", "Gui", Part.LIBRARY),
        ("PySide6/Qt/lib/QtGui.framework/Resources/Info.plist", "Gui", Part.LIBRARY),
        ("PySide6/Qt/lib/libQt63DRender.so.6", "3DRender", Part.LIBRARY),
        ("PySide6/Qt/lib/libQt6FFmpegStub-va.so.2", None, None),
        ("PySide6/QtAsyncio/events.py", None, None),
        ("PySide6/libpyside6qml.abi3.so.6.12", None, None),
        ("other/QtGui.abi3.so", None, None),
        ("PySide2/QtGui.abi3.so", None, None),
    ],
)
def test_files_of_modules(path: str, module: str | None, part: Part | None) -> None:
    found = module_file(path)
    assert (found and found.module, found and found.part) == (module, part)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("libQt6Gui.so.6", "Gui"),
        ("Qt6Gui.dll", "Gui"),
        ("@rpath/QtGui.framework/Versions/A/QtGui", "Gui"),
        ("libicuuc.so.73", None),
        ("libQt5Gui.so.5", None),
    ],
)
def test_needed_names(name: str, module: str | None) -> None:
    assert needed_module(name) == module


def test_qml_folders() -> None:
    assert qml_path("a/PySide6/Qt/qml/QtQuick/qmldir") == "QtQuick/qmldir"
    assert qml_path("Lib/site-packages/PySide6/qml/builtins.qmltypes") == "builtins.qmltypes"
    assert qml_path("a/mine/qml/QtQuick/qmldir") is None


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("a.qml", b"import QtQuick.Controls 2.15 as C\n", [("QtQuick.Controls", 1)]),
        ("a.qml", b"// import QtQuick3D\nimport QtQml\n", [("QtQml", 2)]),
        ("a.mjs", b".import QtQuick as Q", [("QtQuick", 1)]),
        ("qmldir", b"module M\noptional import QtQuick.A auto\ndepends QtQml 2.0\n",
         [("QtQuick.A", 2), ("QtQml", 3)]),
        ("a.py", b"s = '''\nimport QtQuick; Item{}'''", [("QtQuick", 2)]),
        ("a.py", b"from PySide6 import QtQuick\n", []),
        ("a.txt", b"import QtQuick\n", []),
    ],
)  # fmt: skip
def test_imports_of_qml(path: str, text: bytes, names: list[tuple[str, int]]) -> None:
    assert list(qml_imports(path, text)) == names


def test_forms_of_designer_name_modules() -> None:
    text = b"""<ui><widget class="QQuickWidget" name="a"/>
    <customwidget><class>QWebEngineView</class><header>QtWebEngineWidgets/QWebEngineView</header>
    </customwidget></ui>"""
    assert [name for name, _ in form_modules("a.ui", text)] == [
        *("QuickWidgets", "WebEngineWidgets", "WebEngineWidgets")
    ]
    assert list(form_modules("a.xml", text)) == []
