"""The virtual stacks that other tests are built on say what their text says."""

from __future__ import annotations

from slim.model.record import EntryType, OwnerKind
from tests.support.virtual_stacks import Link, make_stack


def test_a_stack_out_of_text() -> None:
    virtual = make_stack(
        {
            "cpython3.13": {"$stdlib/os.py": "x = 1"},
            "app-x": {
                "$site/foo/__init__.py": "",
                "$site/foo-1.0.dist-info/METADATA": "Name: foo\nRequires-Dist: bar>=1\n\nText",
                "$site/foo-1.0.dist-info/entry_points.txt": "[console_scripts]\n"
                "Foo = foo.cli:main\n",
                "$bin/foo": Link("python"),
                "$site/foo-1.0.dist-info/RECORD": "foo/__init__.py,,\n"
                "../../../bin/foo,,\nfoo/gone.py,,\n",
            },
        },
        launch={"app-x": "foo"},
    )
    stack, inventory, read = virtual.stack, virtual.inventory, virtual.read
    assert stack.layer("app-x").requires == ("cpython3.13",)
    assert stack.layer("app-x").launch_module == "foo"
    distribution = inventory.distributions["app-x"]["foo"]
    assert distribution.files == {"lib/python3.13/site-packages/foo/__init__.py", "bin/foo"}
    assert distribution.requires == ("bar>=1",)
    assert [(point.name, point.module) for point in distribution.entry_points] == [
        ("Foo", "foo.cli")
    ]
    os_py = inventory.by_deployed_path["cpython3.13/lib/python3.13/os.py"]
    assert os_py.owner.kind is OwnerKind.RUNTIME
    assert bytes(read(os_py)) == b"x = 1"
    assert inventory.records["app-x"]["bin/foo"].type is EntryType.SYMLINK
    assert inventory.records["app-x"]["bin/foo"].owner.name == "foo"
    assert virtual.key("app-x/$site/foo/__init__.py") in virtual.keys_below("app-x/$site/foo")
