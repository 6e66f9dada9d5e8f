"""The archive in a folder: crashes, strangers' folders, full disks, permissions."""

import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from airflow_provider_atlas.artifacts.archive import MAX_RECORD
from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive
from airflow_provider_atlas.errors import ArchiveError, MalformedError, MissingError

PATH = ("dag", "run", "tasks", "step", "1.bundle.json")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    """The umask of a daemon."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_records_are_for_all_to_read_and_private_ones_for_their_owner_alone(tmp_path):
    archive = FolderArchive(tmp_path / "deep" / "archive")
    archive.put(("dag", "record"), b"1")
    archive.put(("dag", "openings"), b"2", private=True)
    assert mode_of(tmp_path / "deep/archive/dag/record") == 0o644
    assert mode_of(tmp_path / "deep/archive/dag/openings") == 0o600
    assert {mode_of(tmp_path / path) for path in ("deep", "deep/archive", "deep/archive/dag")} == {0o755}


def test_a_record_leaves_nothing_beside_it(tmp_path):
    FolderArchive(tmp_path).put(PATH, b"content")
    assert os.listdir(tmp_path.joinpath(*PATH[:-1])) == [PATH[-1]]


def test_a_folder_that_was_cleared_away_is_made_again(tmp_path):
    archive = FolderArchive(tmp_path / "archive")
    archive.put(("a", "b"), b"1")
    (tmp_path / "archive/a/b").unlink()
    (tmp_path / "archive/a").rmdir()
    archive.put(("a", "b"), b"2")
    assert archive.get(("a", "b")) == b"2"


def test_the_archive_may_be_behind_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    FolderArchive(tmp_path / "link").put(PATH, b"content")
    assert FolderArchive(tmp_path / "real").get(PATH) == b"content"
    assert FolderArchive(tmp_path / "link").get(PATH) == b"content"


def test_a_run_folder_alone_is_an_archive_to_be_read(tmp_path):
    FolderArchive(tmp_path).put(PATH, b"content")
    run = FolderArchive.at(tmp_path / "dag" / "run")
    assert run.get(PATH[2:]) == b"content"
    assert run.list(()) == ["tasks"]
    for use in (lambda: run.put(("tasks", "x"), b""), lambda: run.put_blob(b"")):
        with pytest.raises(ArchiveError, match="open for writing"):
            use()
    assert os.listdir(tmp_path / "dag" / "run") == ["tasks"]


def test_a_run_folder_that_is_not_there_is_missing(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(MissingError, match="expected a folder"):
            FolderArchive.at(path)


# A stranger's folder


@pytest.fixture
def stranger(tmp_path):
    """A run folder from a stranger, next to something that is none of its business."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "record").write_bytes(b"secret")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize("target", ["../secret/record", "inside", "nowhere", "record", "/proc/self/environ"])
def test_a_record_that_is_a_link_is_not_followed(stranger, target):
    (stranger / "inside").write_bytes(b"inside")
    (stranger / "record").symlink_to(target)
    with pytest.raises(MalformedError, match="not a link"):
        FolderArchive.at(stranger).get(("record",))


@pytest.mark.parametrize("target", ["../secret", "real", ".", "/etc"])
def test_a_folder_that_is_a_link_is_not_followed(stranger, target):
    (stranger / "real").mkdir()
    (stranger / "tasks").symlink_to(target)
    archive = FolderArchive.at(stranger)
    for use in (lambda: archive.get(("tasks", "record")), lambda: archive.list(("tasks",))):
        with pytest.raises(MalformedError, match="not a link"):
            use()


def test_a_pipe_holds_nobody_up(stranger):
    os.mkfifo(stranger / "record")
    archive = FolderArchive.at(stranger)
    with pytest.raises(MalformedError, match="not a pipe or a device"):
        archive.get(("record",))
    with pytest.raises(MalformedError):
        archive.list(("record",))


def test_a_socket_is_no_record(stranger, monkeypatch):
    monkeypatch.chdir(stranger)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("record")
        with pytest.raises(MalformedError):
            FolderArchive.at(stranger).get(("record",))


def test_a_record_that_is_too_large_is_not_read(stranger):
    with (stranger / "record").open("wb") as handle:
        handle.truncate(MAX_RECORD + 1)
    with pytest.raises(MalformedError, match=str(MAX_RECORD)):
        FolderArchive.at(stranger).get(("record",))


def test_names_that_no_archive_writes_are_not_listed(stranger):
    for name in (b"good", b".hidden", b"a b", b"caf\xe9", b"new\nline", b"a:b", "ü".encode()):
        with open(os.fsencode(stranger) + b"/" + name, "wb"):
            pass
    assert FolderArchive.at(stranger).list(()) == ["good"]


# When it cannot be kept


@pytest.mark.parametrize(
    ("number", "function", "expected"),
    [
        (errno.ENOSPC, "fsync", "is full: make room there"),
        (errno.EDQUOT, "fsync", "is full: make room there"),
        (errno.EROFS, "mkdir", "mounted read-only"),
        (errno.EACCES, "mkdir", f"user {os.geteuid()} may not write there"),
        (errno.EPERM, "link", "has no hard links"),
        (errno.EIO, "fsync", "input/output error"),
        (errno.EIO, "link", "input/output error"),
    ],
)
def test_what_cannot_be_kept_says_why_and_leaves_nothing(tmp_path, monkeypatch, number, function, expected):
    def failing(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, function, failing)
    place = re.escape(str(tmp_path.joinpath("archive", *PATH)))
    with pytest.raises(ArchiveError, match=f"^{place} could not be kept: .*{expected}"):
        FolderArchive(tmp_path / "archive").put(PATH, b"content")
    monkeypatch.undo()
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []
    FolderArchive(tmp_path / "archive").put(PATH, b"content")
    assert FolderArchive(tmp_path / "archive").get(PATH) == b"content"


@pytest.mark.parametrize("use", [lambda archive: archive.get(PATH), lambda archive: archive.list(PATH[:-1])])
def test_what_may_not_be_read_says_so(tmp_path, use):
    archive = FolderArchive(tmp_path / "archive")
    archive.put(PATH, b"content")
    (tmp_path / "archive" / "dag").chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(ArchiveError, match="could not be read: Permission denied"):
            use(archive)
    finally:
        os.seteuid(user)
        (tmp_path / "archive" / "dag").chmod(0o755)


# Crashes. Everything that puts a record is done again and again, and each time the process dies at the next system
# call: before it, and after it. The record must be there whole, or not at all, and must be kept at the next attempt.

CRASHES = """
import os, signal, sys
from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive
from airflow_provider_atlas.errors import MissingError

PATH, CONTENT = ("dag", "run", "tasks", "step", "1.bundle.json"), b"0123456789abcdef" * 4000
calls = 0

def dying(original, at):
    def call(*arguments, **more):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **more)
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

def attempt(root, at):
    child = os.fork()
    if child == 0:
        for name in ("open", "close", "fsync", "link", "unlink", "mkdir", "chmod", "fchmod"):
            setattr(os, name, dying(getattr(os, name), at))
        FolderArchive(root).put(PATH, CONTENT)
        os._exit(0)
    return os.waitpid(child, 0)[1]

for at in range(1, 1000):
    root = os.path.join(sys.argv[1], str(at))
    status = attempt(root, at)
    archive = FolderArchive(root)
    try:
        kept = archive.get(PATH)
    except MissingError:
        kept = None
    assert kept in (None, CONTENT), at
    assert archive.list(PATH[:-1]) == ([PATH[-1]] if kept else []), at
    archive.put(PATH, CONTENT)
    assert archive.get(PATH) == CONTENT, at
    if status == 0:
        assert kept == CONTENT
        print("crashed at", at - 1)
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
"""


def test_a_crash_at_any_system_call_leaves_a_whole_record_or_none(tmp_path):
    done = subprocess.run([sys.executable, "-c", CRASHES, tmp_path], capture_output=True, text=True, check=False)
    crashes = re.fullmatch(r"crashed at (\d+)\n", done.stdout)
    assert crashes, done.stderr
    assert int(crashes[1]) > 40


def recorded(monkeypatch, *functions):
    """Return the list in which each call of ``functions`` of os leaves its name and the path that it is about.

    An fsync of a file leaves the file's size, too.
    """
    events = []

    def recording(name, original):
        def call(subject, *arguments, **more):
            path = os.readlink(f"/proc/self/fd/{subject}") if isinstance(subject, int) else os.fspath(subject)
            size = (os.stat(path).st_size,) if os.path.isfile(path) and name == "fsync" else ()
            result = original(subject, *arguments, **more)
            events.append((name, arguments[0] if name == "link" else path, *size))
            return result

        return call

    for name in functions:
        monkeypatch.setattr(os, name, recording(name, getattr(os, name)))
    return events


def test_a_record_is_on_disk_before_it_has_a_name_and_its_name_before_it_is_acknowledged(tmp_path, monkeypatch):
    events = recorded(monkeypatch, "fsync", "link", "mkdir")
    archive = FolderArchive(tmp_path / "archive")
    archive.put(PATH, b"content")
    kinds = [event[0] for event in events]
    kind, path, size = events[kinds.index("link") - 1]
    assert (kind, size) == ("fsync", len(b"content"))
    assert path.startswith(str(tmp_path.joinpath("archive", *PATH[:-1], "." + PATH[-1])))
    named = [event for event in events if event[0] in ("mkdir", "link")]
    assert [path for _, path in named] == [
        str(tmp_path.joinpath("archive", *PATH[:end])) for end in range(len(PATH) + 1)
    ]
    for kind, path in named:
        # The name is brought to disk before anything is made below it, or acknowledged.
        assert events[events.index((kind, path)) + 1] == ("fsync", os.path.dirname(path))


def test_a_folder_that_another_has_just_made_is_on_disk_before_a_record_in_it_is_acknowledged(tmp_path, monkeypatch):
    folder = tmp_path.joinpath("archive", *PATH[:-1])
    folder.mkdir(parents=True)
    events = recorded(monkeypatch, "fsync", "link", "mkdir")
    archive = FolderArchive(tmp_path / "archive")
    archive.put(PATH, b"content")
    archive.put((*PATH[:-1], "2.bundle.json"), b"content")
    assert events[0] == ("fsync", str(folder.parent))
    assert [event for event in events if event[1] == str(folder.parent)] == [events[0]]


def test_what_lies_above_the_archive_is_left_to_its_operator(tmp_path, monkeypatch):
    (tmp_path / "archive").mkdir()
    events = recorded(monkeypatch, "fsync", "link", "mkdir")
    FolderArchive(tmp_path / "archive").put(("record",), b"content")
    assert ("fsync", str(tmp_path)) not in events


def test_no_file_is_left_open(tmp_path):
    archive = FolderArchive(tmp_path / "archive")
    before = os.listdir("/proc/self/fd")
    archive.put(PATH, b"content")
    archive.get(PATH)
    archive.list(PATH[:-1])
    for path in (("nothing",), (*PATH, "below")):
        with pytest.raises(MissingError):
            archive.get(path)
    assert os.listdir("/proc/self/fd") == before


def test_a_record_that_is_there_for_good_costs_no_wait_for_the_disk(tmp_path, monkeypatch):
    FolderArchive(tmp_path / "archive").put(PATH, b"content")
    events = recorded(monkeypatch, "fsync", "link", "mkdir")
    FolderArchive(tmp_path / "archive").put(PATH, b"content")
    assert events == []


@pytest.mark.parametrize("trouble", [("unlink", KeyboardInterrupt), ("fsync", OSError)], ids=["crash", "disk error"])
def test_a_record_that_may_not_be_on_disk_is_brought_there_before_it_is_acknowledged(tmp_path, monkeypatch, trouble):
    function, error = trouble

    def failing(subject):
        # The first fsync is that of the content, before there is a record at all.
        if function == "unlink" or os.path.isdir(f"/proc/self/fd/{subject}"):
            raise error
        os.fdatasync(subject)

    tmp_path.joinpath("archive", *PATH[:-1]).mkdir(parents=True)
    archive = FolderArchive(tmp_path / "archive")
    archive.put((*PATH[:-1], "other"), b"")
    with monkeypatch.context() as patch:
        patch.setattr(os, function, failing)
        with pytest.raises((KeyboardInterrupt, ArchiveError)):
            archive.put(PATH, b"content")
    events = recorded(monkeypatch, "fsync", "link", "mkdir")
    FolderArchive(tmp_path / "archive").put(PATH, b"content")
    assert events == [("fsync", str(tmp_path.joinpath("archive", *PATH[:-1])))]


WRITER = """
import hashlib, itertools, os, sys
from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive
archive = FolderArchive(sys.argv[1])
for number in itertools.count():
    content = b"%d " % number * 20000
    archive.put(("run", f"{number}.json"), content)
    os.write(1, b"%d\\n" % number)
"""


def test_what_was_acknowledged_before_a_kill_is_there(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
    writer.stdout.readline()
    time.sleep(0.2)
    writer.send_signal(signal.SIGKILL)
    acknowledged = 1 + len(writer.stdout.read().splitlines())
    writer.stdout.close()
    writer.wait()
    archive = FolderArchive(tmp_path)
    for number in range(acknowledged):
        assert archive.get(("run", f"{number}.json")) == b"%d " % number * 20000
    assert len(archive.list(("run",))) in (acknowledged, acknowledged + 1)


RIVAL = """
import sys
from airflow_provider_atlas.artifacts.backends.folder_archive import FolderArchive
from airflow_provider_atlas.errors import ArchiveError
archive = FolderArchive(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    content = (sys.argv[2] if number % 2 else "the same").encode() * 1000
    try:
        archive.put(("run", f"{number}.json"), content)
        print("kept", number)
    except ArchiveError as error:
        assert "never replaced" in str(error), error
        print("refused", number)
"""


def test_processes_that_write_the_same_paths_at_once_agree(tmp_path):
    command = [sys.executable, "-c", RIVAL, tmp_path]
    rivals = [subprocess.Popen([*command, name], stdin=-1, stdout=-1, text=True) for name in "abcd"]
    for rival in rivals:
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        rival.stdin.write("go\n")
        rival.stdin.flush()
    answers = [line for rival in rivals for line in rival.communicate()[0].splitlines()]
    assert [rival.returncode for rival in rivals] == [0] * 4
    for number in range(50):
        assert answers.count(f"kept {number}") == (1 if number % 2 else 4)
        assert answers.count(f"refused {number}") == (3 if number % 2 else 0)
    archive = FolderArchive(tmp_path)
    assert {archive.get(("run", f"{number}.json")) for number in range(0, 50, 2)} == {b"the same" * 1000}
    assert {archive.get(("run", f"{number}.json")) for number in range(1, 50, 2)} <= {
        name * 1000 for name in (b"a", b"b", b"c", b"d")
    }
    assert len(os.listdir(tmp_path / "run")) == 50
