"""Families: the constant start of computed imports, and which calls are computed."""

from __future__ import annotations

import pytest

from slim.tracing.families import Importer

CALL = "import_module"
MODELS = "big.models."


@pytest.mark.parametrize(
    ("source", "member", "how", "prefix"),
    [
        ("import_module(f'big.models.{kind}')", "big.models.llama", CALL, MODELS),
        ("import_module('big.models.' + kind)", "big.models.llama", CALL, MODELS),
        ("import_module('big.models.%s' % kind)", "big.models.a", CALL, MODELS),
        (
            "import_module('big.models.{}'.format(k))",
            "big.models.a",
            "import_module",
            "big.models.",
        ),
        ("import_module(f'big.models.m_{kind}')", "big.models.m_a", CALL, MODELS),
        (
            "import_module(f'.models.{k}', __package__)",
            "big.models.a",
            "import_module",
            "big.models.",
        ),
        ("import_module('.' + k, __name__)", "big.here.a", CALL, "big."),
        ("import_module(f'{__name__}.{k}')", "big.here.a", CALL, "big.here."),
        ("import_module(__name__ + '.' + k)", "big.here.a", CALL, "big.here."),
        ("import_module(f'{k}.models')", "big.models", CALL, "big."),
        ("import_module(name)", "other.part.x", CALL, "other.part."),
        ("import_module(name)", "other", CALL, "."),
        (
            "import_module(\n    f'big.models.{kind}'\n)",
            "big.models.a",
            "import_module",
            "big.models.",
        ),
        ("import_module(f'not.this.{kind}')", "big.models.a", CALL, MODELS),
        ("__import__('big.models.' + kind)", "big.models.a", "", MODELS),
        ("import_module('big.models.a')", "big.models.a", CALL, None),
        ("import_module('.a', 'big.models')", "big.models.a", CALL, None),
        ("import big.models.a", "big.models.a", "", None),
        ("loads(data)", "big.models.a", "", None),
        ("spec.loader.exec_module(made)", "big.models.a", "exec_module", "big.models."),
        ("this is no Python", "big.models.a", CALL, MODELS),
    ],
)
def test_the_start_of_what_is_imported(
    source: str, member: str, how: str, prefix: str | None
) -> None:
    importer = Importer("big.here", "big", source.encode())
    assert importer.prefix(1, member, how) == prefix


def test_a_name_that_was_put_together_above() -> None:
    source = b"def load(kind):\n    name = f'big.models.{kind}'\n    return import_module(name)\n"
    importer = Importer("big.here", "big", source)
    assert importer.prefix(3, "big.models.a", "import_module") == "big.models."
    assert importer.prefix(3, "other.a", "import_module") == "other."


def test_computed_imports_are_found_with_their_lines() -> None:
    source = (
        b"import_module('big.a')\n__import__(name)\nimport_module(\n    f'big.models.{k}'\n)\n"
        b"import_module(__name__)\nfind_spec(name)\n"
    )
    found = list(Importer("big.here", "big", source).computed())
    assert found == [(2, 2, ""), (3, 5, "big.models.")]
