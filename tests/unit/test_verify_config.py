"""The [verify] table and slim.keep.toml: what is read, and every mistake with its key path."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.config.verify import find_keep_file, read_keep_file
from slim.errors import ConfigError
from slim.model.verify import Broken, Command, Ready, Repair, Request, Subject
from slim.passes import SCHEMAS
from slim.reports.run.keep_toml import literal, render_keep
from slim.rules.glob import compile_glob


def read(folder: Path, text: str) -> tuple[Command, ...]:
    file = folder / "slim.toml"
    file.write_text(f"schema = 1\n{text}", encoding="utf-8")
    return load_config(SCHEMAS, file=file).verify.commands


def test_everything_about_a_command_is_read(tmp_path: Path) -> None:
    (found,) = read(
        tmp_path,
        """
        [[verify.command]]
        name = "server"
        layer = "app"
        argv = ["python", "-m", "app", "-m"]
        exit_code = 3
        same_output = true
        output = ["^ok$"]
        files = ["out.csv"]
        ignore = ["[0-9]+ ms"]
        environment = { KEY = "value" }
        timeout = 5
        ready = { port = 8000 }
        request = [{ url = "http://127.0.0.1:8000/a", status = 404, body = "no", same = true }]
        """,
    )
    assert found == Command(
        name="server",
        layer="app",
        argv=("python", "-m", "app", "-m"),
        exit_code=3,
        same_output=True,
        output=("^ok$",),
        files=("out.csv",),
        ignore=("[0-9]+ ms",),
        environment={"KEY": "value"},
        timeout=5,
        ready=Ready(port=8000),
        requests=(Request(url="http://127.0.0.1:8000/a", status=404, body="no", same=True),),
    )


MISTAKES = [
    ('argv = ["python"]', "layer: is missing"),
    ('layer = "a"', "argv: is missing"),
    ('layer = "a"\nargv = "python -m x"', "argv: expected an array of strings"),
    ('layer = "a"\nargv = []', "argv: expected an array of strings"),
    ('layer = "a"\nargv = ["/bin/sh"]', "argv[0]: must be 'python'"),
    ('layer = "a"\nargv = ["../sh"]', "argv[0]: must be 'python'"),
    ('layer = "a"\nargv = ["x"]\noutput = ["("]', "output[0]: not a regular expression"),
    ('layer = "a"\nargv = ["x"]\nfiles = ["/etc/passwd"]', "files[0]: must be relative"),
    ('layer = "a"\nargv = ["x"]\nready = {}', "ready: expected either a port or a line"),
    (
        'layer = "a"\nargv = ["x"]\nready = { port = 1, line = "x" }',
        "ready: expected either a port or a line",
    ),
    (
        'layer = "a"\nargv = ["x"]\nready = { port = 70000 }',
        "ready.port: must be between 1 and 65535",
    ),
    (
        'layer = "a"\nargv = ["x"]\nrequest = { url = "http://127.0.0.1/" }',
        "request: only a server is asked",
    ),
    (
        'layer = "a"\nargv = ["x"]\nready = { port = 1 }\n'
        'request = { url = "http://example.org/" }',
        "request.url: expected an address of the loopback",
    ),
    ('layer = "a"\nargv = ["x"]\nenvironment = { A = 1 }', "environment.A: expected a string"),
    ('layer = "a"\nargv = ["x"]\nexit_code = 256', "exit_code: must be between 0 and 255"),
    ('layer = "a"\nargv = ["x"]\ntimeout = 0', "timeout: must be between 1 and"),
    (
        'layer = "a"\nargv = ["x"]\nsame_ouput = true',
        "same_ouput: unknown key (did you mean 'same_output'?)",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes_are_told_with_their_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f"[[verify.command]]\n{text}\n")
    assert any(message in str(problem) for problem in error.value.problems), str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('memory = "1 KiB"', "verify.memory: must be at least 64 MiB"),
        ('memory = "much"', "verify.memory:"),
        ('devices = ["/etc/passwd"]', "verify.devices[0]: expected a file or folder of /dev"),
        ('devices = ["/dev/../etc"]', "verify.devices[0]: expected a file or folder of /dev"),
        ('devices = ["/dev/"]', "verify.devices[0]: expected a file or folder of /dev"),
    ],
)
def test_what_the_sandbox_gives_is_checked(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f"[verify]\n{text}\n")
    assert any(message in str(problem) for problem in error.value.problems), str(error.value)


def test_what_the_sandbox_gives_is_read(tmp_path: Path) -> None:
    (tmp_path / "slim.toml").write_text(
        'schema = 1\n[verify]\nmemory = "2 GiB"\ndevices = ["/dev/dri"]\n', encoding="utf-8"
    )
    settings = load_config(SCHEMAS, file=tmp_path / "slim.toml").verify
    assert (settings.memory, settings.devices) == (2 << 30, ("/dev/dri",))


def test_two_commands_need_two_names(tmp_path: Path) -> None:
    one = '[[verify.command]]\nname = "x"\nlayer = "a"\nargv = ["x"]\n'
    with pytest.raises(ConfigError, match="is the name of an earlier command"):
        read(tmp_path, one + one)
    assert [command.name for command in read(tmp_path, one.replace('name = "x"\n', "") * 2)] == [
        "command 1",
        "command 2",
    ]


# slim.keep.toml


def finding(*paths: str, layer: str = "app", text: str = "No module named 'x'") -> Repair:
    subject = Subject(check="imports", layer=layer, name="x")
    broken = Broken(subject=subject, before="worked", after=text)
    return Repair(
        broken=(broken,), files=tuple((layer, path) for path in paths), rules=("rule-a",), tries=3
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "slim.keep.toml"
    text = render_keep([finding("lib/a.py", "lib/[b]*{c}.py"), finding("lib/d.py", layer="a.b")])
    file.write_text(text, encoding="utf-8")
    found = read_keep_file(file)
    assert set(found) == {"app", "a.b"}
    assert found["app"][0] == "lib/a.py"
    config = load_config(SCHEMAS, keep_file=file)
    assert config.settings_for("app").keep == found["app"]
    assert config.settings_for("other").keep == ()


def test_earlier_findings_stay_and_nothing_is_listed_twice(tmp_path: Path) -> None:
    text = render_keep(
        [finding("lib/a.py", "lib/new.py")], {"app": ("lib/a.py", "lib/old.py"), "gone": ("x",)}
    )
    layers = tomllib.loads(text)["layer"]
    assert layers == {
        "app": {"keep": ["lib/a.py", "lib/old.py", "lib/new.py"]},
        "gone": {"keep": ["x"]},
    }


@pytest.mark.parametrize(
    "text", ["two\nlines", 'quote " and \\', "\x1b[31m", "\ud800", "x" * 5000, "# [layer]"]
)
def test_evidence_cannot_break_the_file(text: str) -> None:
    found = tomllib.loads(render_keep([finding("lib/a.py", text=text)]))
    assert found == {"schema": 1, "layer": {"app": {"keep": ["lib/a.py"]}}}


@pytest.mark.parametrize(
    "path", ["lib/a.py", "lib/[x].py", "lib/a*b?.py", "$site/x", "a{b,c}d", "lib/ü ñ.txt", "a,b"]
)
def test_a_literal_glob_matches_its_path(path: str) -> None:
    assert any(alternative for alternative in compile_glob(literal(path)).alternatives)
    import re

    regexes = [alternative.regex for alternative in compile_glob(literal(path)).alternatives]
    assert any(re.fullmatch(regex, path) for regex in regexes)


def test_the_keep_file_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    assert find_keep_file(None) is None
    (tmp_path / "slim.keep.toml").write_text("schema = 1\n")
    assert find_keep_file(None) == tmp_path / "slim.keep.toml"
    assert find_keep_file(tmp_path / "conf" / "slim.toml") is None
    (tmp_path / "conf" / "slim.keep.toml").write_text("schema = 1\n")
    assert find_keep_file(tmp_path / "conf" / "slim.toml") == tmp_path / "conf" / "slim.keep.toml"


def test_a_keep_file_with_mistakes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "slim.keep.toml"
    file.write_text('schema = 1\nprofile = "safe"\n[layer.app]\nkeep = ["a/[/b"]\n')
    with pytest.raises(ConfigError) as error:
        load_config(SCHEMAS, keep_file=file)
    assert {problem.place for problem in error.value.problems} == {"profile", "layer.app.keep[0]"}
