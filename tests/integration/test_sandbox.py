"""The sandbox of ``--verify`` against programs that try to get out, and for those that don't."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.verification.dynamic.sandbox import MAX_TASKS, PYTHON, Finished, Sandbox
from tests.support.runnable_stacks import APPLICATION, running_stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux namespaces")
MIB = 1 << 20


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("work"), memory=2048 * MIB)


@pytest.fixture
def whole(sandbox: Sandbox) -> Sandbox:
    if sandbox.isolation.missing:
        pytest.skip(f"NOT TRIED: {sandbox.isolation.missing}")
    return sandbox


def run(sandbox: Sandbox, text: str, **more: Any) -> Finished:
    return sandbox.run([PYTHON, "-I", "-S", "-c", text], timeout=60, **more)


def told(sandbox: Sandbox, text: str, **more: Any) -> Any:
    """What a program prints as JSON."""
    done = run(sandbox, text, **more)
    assert done.code == 0, done
    return json.loads(done.stdout)


TRY = """
import ctypes, errno, json, os, socket, sys
told = {}
def attempt(name, work):
    try:
        told[name] = repr(work() or "done")
    except OSError as error:
        told[name] = errno.errorcode.get(error.errno, repr(error))
def call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
"""


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder beside the sandbox with a service's socket, a FIFO, and the caller's secrets."""
    with tempfile.TemporaryDirectory(prefix="slim-outside-") as name:
        folder = Path(name)
        (folder / ".secret").write_text("password")
        os.mkfifo(folder / "fifo")
        monkeypatch.setenv("HOME", name)
        monkeypatch.setenv("SECRET_TOKEN", "password")
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{name}/agent")
        yield folder


def test_nothing_of_the_caller_is_in_sight(whole: Sandbox, outside: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(outside / "agent"))
    listening.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0slim-{os.getpid()}")
    abstract.listen()
    reader = os.open(outside / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    master, terminal = pty.openpty()
    found = told(
        whole,
        TRY
        + f"""
outside, me, terminal = {str(outside)!r}, {os.getpid()}, {os.ttyname(terminal)!r}
connect = lambda place: socket.socket(socket.AF_UNIX).connect(place)
write = lambda place: os.write(os.open(place, os.O_WRONLY | os.O_NONBLOCK), b"x")
read = lambda place: open(place).read()
attempt("socket", lambda: connect(outside + "/agent"))
attempt("abstract", lambda: connect("\\0slim-" + str(me)))
attempt("fifo", lambda: write(outside + "/fifo"))
attempt("tty", lambda: write("/dev/tty"))
attempt("terminal", lambda: write(terminal))
attempt("secret", lambda: read(outside + "/.secret"))
attempt("kill", lambda: os.kill(me, 0))
attempt("new", lambda: write(outside + "/new"))
attempt("network", lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
attempt("init", lambda: read("/proc/1/environ"))
told["environments"] = []
for name in os.listdir("/proc"):
    if name.isdigit() and name != "1" and "password" in read("/proc/" + name + "/environ"):
        told["environments"].append(name)
told["home"] = [name for name in ("/home", "/root", outside)
    if os.path.isdir(name) and ".secret" in os.listdir(name)]
told["run"] = os.listdir("/run")
told["variables"] = sorted(os.environ)
told["descriptors"] = sorted(os.listdir("/proc/self/fd"))
print(json.dumps(told))
""",
    )
    assert select_nothing(master) and os.read(reader, 10) == b""
    assert not (outside / "new").exists()
    assert found.pop("environments") == found.pop("home") == found.pop("run") == []
    assert not {"SECRET_TOKEN", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"} & set(found.pop("variables"))
    assert found.pop("descriptors") == ["0", "1", "2", "3"]  # 3: the folder that is listed
    assert found.pop("network") in ("'ENETUNREACH'", "ENETUNREACH", "EHOSTUNREACH")
    assert found == {
        "socket": "ENOENT",
        "abstract": "ECONNREFUSED",
        "fifo": "ENOENT",
        "tty": "ENOENT",
        "terminal": "ENOENT",
        "secret": "ENOENT",
        "kill": "ESRCH",
        "new": "ENOENT",
        "init": "EACCES",
    }
    for handle in (master, terminal, reader):
        os.close(handle)
    listening.close()
    abstract.close()


def select_nothing(handle: int) -> bool:
    os.set_blocking(handle, False)
    try:
        return os.read(handle, 10) == b""
    except BlockingIOError:
        return True


def test_kinds_of_sockets_and_calls_that_no_namespace_contains(sandbox: Sandbox) -> None:
    if not sandbox.isolation.syscalls:
        pytest.skip("NOT TRIED: no filter on system calls here")
    x86 = os.uname().machine == "x86_64"
    found = told(
        sandbox,
        TRY
        + f"""
families = {{"vsock": 40, "packet": 17, "bluetooth": 31, "alg": 38}}
families |= {{"can": 29, "tipc": 30, "xdp": 44}}
for name, family in families.items():
    attempt(name, lambda: socket.socket(family, socket.SOCK_STREAM).close())
attempt("audit", lambda: socket.socket(16, socket.SOCK_RAW, 9).close())
attempt("high", lambda: call({41 if x86 else 198}, ctypes.c_ulong(40 | 1 << 32), 1, 0))
attempt("io_uring", lambda: call(425, 8, ctypes.create_string_buffer(120)))
attempt("keyctl", lambda: call({250 if x86 else 219}, 0, -3, 0))
attempt("add_key", lambda: call({248 if x86 else 217}, b"user", b"x", b"y", 1, -3))
attempt("bpf", lambda: call({321 if x86 else 280}, 0, 0, 0))
attempt("userfaultfd", lambda: call({323 if x86 else 282}, 0))
attempt("perf", lambda: call({298 if x86 else 241}, 0, 0, -1, -1, 0))
import fcntl, pty
attempt("TIOCSTI", lambda: fcntl.ioctl(pty.openpty()[1], 0x5412, b"x"))
for name, family in {{"unix": 1, "ipv4": 2, "ipv6": 10, "netlink": 16}}.items():
    kind = socket.SOCK_RAW if family == 16 else socket.SOCK_STREAM
    attempt(name, lambda: socket.socket(family, kind).close())
attempt("pair", lambda: [one.close() for one in socket.socketpair()] and None)
print(json.dumps(told))
""",
    )
    family = "EAFNOSUPPORT"
    assert found == {
        **dict.fromkeys(("vsock", "packet", "bluetooth", "alg", "can", "tipc", "xdp"), family),
        "audit": "EPROTONOSUPPORT",
        "high": family,
        "io_uring": "ENOSYS",
        **dict.fromkeys(("keyctl", "add_key", "bpf", "userfaultfd", "perf", "TIOCSTI"), "EPERM"),
        **dict.fromkeys(("unix", "ipv4", "ipv6", "netlink", "pair"), "'done'"),
    }


def test_other_ways_into_the_kernel_meet_the_filter(sandbox: Sandbox) -> None:
    """The numbers of x32 are those of x86-64 with a bit more."""
    if not sandbox.isolation.syscalls or os.uname().machine != "x86_64":
        pytest.skip("NOT TRIED: no filter on system calls here, or not x86-64")
    found = told(
        sandbox,
        TRY + "attempt('x32', lambda: call(0x40000000 + 41, 40, 1, 0))\nprint(json.dumps(told))",
    )
    assert found == {"x32": "ENOSYS"}


EATERS = {
    "anonymous": "kept = []\nwhile True: kept.append(bytearray(b'x') * (32 << 20))",
    "children": "while True:\n if os.fork() == 0:\n  kept = b'x' * (300 << 20)\n  time.sleep(60)",
    "shared": "import mmap\nkept = []\nwhile True:\n"
    " kept.append(mmap.mmap(-1, 32 << 20)); kept[-1].write(b'x' * (32 << 20))",
    "tmpfs": "file = open('/dev/shm/x', 'wb')\nwhile True: file.write(b'x' * (32 << 20))",
    "memfd": "file = os.memfd_create('x')\nwhile True: os.write(file, b'x' * (32 << 20))",
    "segments": "libc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\nwhile True:\n"
    " at = libc.shmat(libc.shmget(0, 32 << 20, 0o1600), None, 0)\n"
    " ctypes.memset(at, 1, 32 << 20); libc.shmdt(ctypes.c_void_p(at))",
    "messages": "libc = ctypes.CDLL(None)\ntext = ctypes.create_string_buffer(b'x' * 8200)\n"
    "while True:\n queue = libc.msgget(0, 0o1600)\n"
    " while libc.msgsnd(queue, text, ctypes.c_size_t(8192), 0o4000) == 0: pass",
}


@pytest.mark.parametrize("way", EATERS)
def test_memory_has_an_end(whole: Sandbox, way: str, tmp_path: Path) -> None:
    small = Sandbox(tmp_path, memory=400 * MIB)
    done = run(small, f"import ctypes, os, time\n{EATERS[way]}")
    text = done.stderr.decode()
    # One process meets its own limit; a full file system is full. All else is stopped.
    refused = "MemoryError" in text or "No space left" in text
    assert refused or done.stopped == "it took more than 400 MiB of memory", done


def test_no_memory_lies_in_namespaces_that_nobody_watches(whole: Sandbox) -> None:
    """A file system in memory, or segments, of a program's own; browsers need user namespaces."""
    kinds = {"files": 0x20000, "segments": 0x8000000, "user": 0}
    found = told(
        whole,
        TRY
        + f"""
def leave(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(0x10000000 | flags)):
        raise OSError(ctypes.get_errno(), "")
for name, flags in {kinds}.items():
    attempt(name, lambda: leave(flags))
print(json.dumps(told))
""",
    )
    assert found == {"files": "ENOSPC", "segments": "ENOSPC", "user": "'done'"}


def test_memory_that_processes_share_counts_once(whole: Sandbox, tmp_path: Path) -> None:
    small = Sandbox(tmp_path, memory=500 * MIB)
    text = "import os, time\nkept = b'x' * (200 << 20)\nchildren = [os.fork() for _ in range(3)]\n"
    done = run(small, text + "time.sleep(1)\n")
    assert (done.code, done.stopped) == (0, "")


def test_a_fork_bomb_ends(whole: Sandbox) -> None:
    # It rests where no more can be had: a machine of two processors has other tests to run.
    bomb = "import os, time\nwhile True:\n try: os.fork()\n except OSError: time.sleep(0.2)"
    done = run(whole, bomb)
    assert done.stopped == f"it started more than {MAX_TASKS // 2} processes", done


def test_only_what_is_given_can_be_written(whole: Sandbox, tmp_path: Path) -> None:
    for name in ("seen", "given"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").write_text("old")
    found = told(
        whole,
        TRY
        + f"""
top = {str(tmp_path)!r}
told["top"] = sorted(os.listdir(top))
for name in ("seen", "given"):
    attempt(name, lambda: open(top + "/" + name + "/old", "w").write("new"))
for place in ("/", "/usr", "/etc", "/proc/sys/kernel", "/sys/devices/system/cpu", "/dev"):
    attempt(place, lambda: os.close(os.open(place + "/slim-x", os.O_CREAT | os.O_WRONLY)))
for place in ("/tmp", "/var/tmp", "/dev/shm", os.environ["HOME"], os.environ["TMPDIR"], "."):
    attempt("own", lambda: open(place + "/x", "w").close())
    assert told.pop("own") == "'done'", place
print(json.dumps(told))
""",
        readable=(tmp_path / "seen",),
        writable=(tmp_path / "given",),
    )
    assert found.pop("top") == ["given", "seen"]
    assert found.pop("given") == "3"
    assert (tmp_path / "seen/old").read_text() == "old"
    assert set(found.values()) <= {"EROFS", "ENOENT", "EACCES"}, found


def test_what_is_given_is_there_behind_a_link(whole: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("text")
    (tmp_path / "link").symlink_to("real")
    path = tmp_path / "link"
    assert told(whole, f"print(len(open({str(path / 'file')!r}).read()))", readable=(path,)) == 4


def test_only_a_real_installation_of_python_is_shown(whole: Sandbox, tmp_path: Path) -> None:
    for name in ("keys/deep/id", "other/bin/python3", "other/lib/python3.13/os.py", "other/secret"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (whole.work / "shown").mkdir()
    own = Sandbox(whole.work / "shown")
    for number, target in enumerate(("keys/deep/id", "other/bin/python3")):
        link = tmp_path / f"python{number}"
        link.symlink_to(target)
        own.show_interpreter(link)
    text = "import json, os\nprint(json.dumps([sorted(f) for _, _, f in os.walk({!r})]))"
    assert sorted(told(own, text.format(str(tmp_path)))) == [[], [], [], ["os.py"], ["python3"]]


ORDINARY = """
import concurrent.futures, getpass, http.server, json, locale, multiprocessing, os, pty, socket
import sqlite3, ssl, subprocess, sys, tempfile, threading, urllib.request
from multiprocessing import shared_memory

def square(n):
    return n * n

if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = "http://localhost:%d/" % server.server_port
    assert urllib.request.urlopen(url, timeout=20).status == 200
    server.shutdown()
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, [1, 2]) == [1, 4]
    lock, queue = multiprocessing.Semaphore(2), multiprocessing.Queue()
    with lock:
        queue.put(1)
        assert queue.get(timeout=20) == 1
    memory = shared_memory.SharedMemory(create=True, size=1 << 20)
    memory.buf[0] = 7
    memory.close()
    memory.unlink()
    database = sqlite3.connect(os.path.expanduser("~/data.db"))
    database.execute("pragma journal_mode = wal")
    database.execute("create table t (x)")
    database.close()
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    answer = subprocess.run(["sh", "-c", "echo $((6 * 7)) | cat"], capture_output=True)
    assert answer.stdout == b"42\\n"
    assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).returncode == 0
    locale.setlocale(locale.LC_ALL, "")
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED
    assert getpass.getuser() and os.path.expanduser("~") == os.environ["HOME"]
    assert {one[4][0] for one in socket.getaddrinfo("localhost", 80)} & {"127.0.0.1", "::1"}
    assert os.cpu_count() and os.cpu_count() == len(os.sched_getaffinity(0)) or os.cpu_count()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.join(os.environ["TMPDIR"], "s")[-100:])
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        assert list(pool.map(square, [3])) == [9]
    child, master = pty.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert open("/proc/self/status").read() and open("/proc/cpuinfo").read()
    assert os.urandom(4) and open("/dev/null", "wb").write(b"x")
    print("all well")
"""


def test_an_ordinary_program_notices_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    running_stack(Path("stack"), application=ORDINARY)
    launch('output = ["^all well$"]')
    result = verify()
    assert [one["passed"] for one in result["verification"]["checks"]].count(False) == 0, result


def launch(text: str = "", settings: str = "") -> None:
    Path("slim.toml").write_text(
        f"schema = 1\n[verify]\n{settings}\n[[verify.command]]\nlayer = '{APPLICATION}'\n"
        f"argv = ['python', '-m', 'main_app']\n{text}\n"
    )


def verify(code: int = 0) -> dict[str, Any]:
    arguments = ["run", "stack", "-o", "out", "--verify", "-q", "--report", "json=report.json"]
    assert main(arguments) == code
    result: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return result


HOSTILE = """
import os, pathlib, socket, sys
def attempt(name, work):
    try:
        work()
    except OSError:
        return
    print("escaped:", name)
if __name__ == "__main__":
    top = pathlib.Path({top!r})
    attempt("input", lambda: (top / "stack/__venvstacks__/x").write_text("x"))
    attempt("output", lambda: (top / "out").mkdir())
    attempt("secret", lambda: (top / ".secret").read_text())
    attempt("socket", lambda: socket.socket(socket.AF_UNIX).connect(str(top / "s")))
    attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
    attempt("layers", lambda: pathlib.Path(__file__).write_text("import os\\n"))
"""


def test_a_hostile_launch_reaches_nothing_and_is_told(
    whole: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".secret").write_text("password")
    running_stack(Path("stack"), application=HOSTILE.format(top=str(tmp_path)))
    before = {path: path.read_bytes() for path in Path("stack").rglob("*") if path.is_file()}
    launch('output = ["\\\\A(escaped: layers\\n)?\\\\Z"]')
    notes = "\n".join(verify()["verification"]["notes"])
    assert f"programs changed files of the deployed stack, which was undone: {APPLICATION}" in notes
    assert {
        path: path.read_bytes() for path in Path("stack").rglob("*") if path.is_file()
    } == before


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (
            "kept = []\n    while True: kept.append(b'x' * (16 << 20))",
            r"MemoryError|took more than",
        ),
        (
            "import os, time\n    while os.fork(): pass\n    time.sleep(99)",
            "it was stopped: it started more than",
        ),
    ],
    ids=["memory", "processes"],
)
def test_a_launch_that_takes_too_much_is_told(
    whole: Sandbox, program: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    running_stack(Path("stack"), application=f"if __name__ == '__main__':\n    {program}\n")
    launch(settings="memory = '300 MiB'")
    checks = {one["name"]: one for one in verify(code=1)["verification"]["checks"]}
    (failure,) = checks["launch"]["broken"]
    assert re.search(told, failure["after"])
    assert not Path("out").exists()


def test_where_nothing_is_allowed_the_report_says_what_was_not_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("slim.verification.dynamic.sandbox._ATTEMPTS", ((),))
    running_stack(Path("stack"))
    launch()
    notes = "\n".join(verify()["verification"]["untried"])
    for text in ("reach other machines", "connect to sockets", "see and signal processes"):
        assert text in notes
