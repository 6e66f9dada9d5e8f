"""Files and directories of this machine: what is refused, and that nothing changes unnoticed while it is hashed."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest

from airflow_provider_atlas.artifacts.backends import file
from airflow_provider_atlas.artifacts.backends.file import FileStore
from airflow_provider_atlas.artifacts.uri import artifact_uri
from airflow_provider_atlas.errors import CaptureError, MissingError

LARGE = 300_000


def describe(path):
    return FileStore().describe(artifact_uri(os.fsdecode(path)))


@pytest.fixture
def data(tmp_path):
    """A directory that has lain still long enough for any clock's tick."""
    root = tmp_path / "data"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "small").write_bytes(b"small")
    (root / "sub" / "large").write_bytes(b"l" * LARGE)
    time.sleep(0.03)
    return root


@pytest.fixture
def while_hashing(monkeypatch):
    """Return a function that has ``change`` called once, in the middle of the first file that is hashed."""

    def arrange(change):
        waiting = [change]

        def after(original):
            def hashing(*arguments):
                result = original(*arguments)
                if waiting:
                    waiting.pop()()
                return result

            return hashing

        monkeypatch.setattr(hashlib, "file_digest", after(hashlib.file_digest))
        monkeypatch.setattr(hashlib, "sha256", after(hashlib.sha256))

    return arrange


def overwrite_and_hide(path):
    before = path.stat()
    with path.open("r+b") as handle:
        handle.write(b"X")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def append(path, content=b"!"):
    with path.open("ab") as handle:
        handle.write(content)


def swap(path, other):
    path.rename(path.with_name("aside"))
    other(path)


CHANGES = {
    "a file grows": lambda root: append(root / "small"),
    "a file shrinks": lambda root: os.truncate(root / "sub" / "large", 10),
    "a byte changes, and the time is put back": lambda root: overwrite_and_hide(root / "small"),
    "a file is replaced by one like it": lambda root: swap(root / "small", lambda path: path.write_bytes(b"small")),
    "a file appears": lambda root: (root / "new").write_bytes(b""),
    "a file appears deep down": lambda root: (root / "sub" / "empty" / "new").write_bytes(b""),
    "a folder appears": lambda root: (root / "sub" / "empty" / "folder").mkdir(),
    "a file disappears": lambda root: (root / "small").unlink(),
    "a folder disappears": lambda root: (root / "sub" / "empty").rmdir(),
    "a file is renamed": lambda root: (root / "small").rename(root / "renamed"),
    "a file becomes a link": lambda root: swap(root / "small", lambda path: path.symlink_to("aside")),
    "a folder becomes a link": lambda root: swap(root / "sub", lambda path: path.symlink_to("aside")),
    "everything disappears": shutil.rmtree,
    "everything is replaced": lambda root: swap(root, lambda path: shutil.copytree(path.with_name("aside"), path)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_directory_that_changes_while_it_is_hashed_is_refused(data, while_hashing, change):
    while_hashing(lambda: change(data))
    with pytest.raises(CaptureError, match=r"changed while it was hashed: write it elsewhere and rename it"):
        describe(data)


@pytest.mark.parametrize(
    "change",
    [
        append,
        lambda path: os.truncate(path, 10),
        overwrite_and_hide,
        lambda path: path.unlink(),
        lambda path: swap(path, lambda place: shutil.copyfile(place.with_name("aside"), place)),
        lambda path: swap(path, lambda place: place.mkdir()),
        lambda path: swap(path, lambda place: place.symlink_to("aside")),
    ],
    ids=["grows", "shrinks", "is overwritten", "disappears", "is replaced", "becomes a folder", "becomes a link"],
)
@pytest.mark.parametrize("name", ["small", "sub/large"])
def test_a_file_that_changes_while_it_is_hashed_is_refused(data, while_hashing, change, name):
    while_hashing(lambda: change(data / name))
    with pytest.raises(CaptureError, match="changed while it was hashed"):
        describe(data / name)


def test_a_link_that_is_turned_to_the_same_bytes_is_refused(data, tmp_path, while_hashing):
    shutil.copytree(data, tmp_path / "copy")
    (tmp_path / "latest").symlink_to("data")

    def turn():
        (tmp_path / "latest").unlink()
        (tmp_path / "latest").symlink_to("copy")

    while_hashing(turn)
    with pytest.raises(CaptureError, match="changed while it was hashed"):
        describe(tmp_path / "latest")


def test_a_file_that_is_swapped_between_the_look_and_the_hash_is_refused(data, monkeypatch):
    opened = os.open

    def swapping(path, *arguments, **more):
        if os.fsencode(path).endswith(b"small"):
            swap(data / "small", os.mkfifo)
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(CaptureError, match="changed while it was hashed"):
        describe(data)


def test_of_a_file_that_somebody_keeps_writing_to_one_moment_is_described_or_none(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1_000_000)
    done = threading.Event()

    def write():
        while not done.is_set() and path.stat().st_size < 2_000_000:
            append(path, b"x")

    writer = threading.Thread(target=write)
    writer.start()
    refused = 0
    try:
        for _ in range(100):
            try:
                artifact = describe(path)
            except CaptureError:
                refused += 1
            else:
                assert artifact.sha256 == hashlib.sha256(b"x" * artifact.size).hexdigest()
    finally:
        done.set()
        writer.join()
    assert refused


def test_what_lies_still_is_described_the_same_twice(data):
    assert describe(data) == describe(data)


def test_a_directory_does_not_depend_on_locale_time_zone_or_who_owns_what(data):
    here = describe(data).sha256
    (data / "small").chmod(0o700)
    os.utime(data / "small", (0, 0))
    program = (
        "import sys; from airflow_provider_atlas.artifacts.backends.file import FileStore;"
        "print(FileStore().describe(sys.argv[1]).sha256)"
    )
    environment = {**os.environ, "LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONUTF8": "0", "PYTHONHASHSEED": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", program, artifact_uri(str(data))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == here


def test_names_beyond_ascii_are_found_in_the_c_locale(tmp_path):
    (tmp_path / "ü").write_bytes(b"content")
    program = (
        "import sys; from airflow_provider_atlas.artifacts.backends.file import FileStore;"
        "print(ascii(FileStore().describe(sys.argv[1]).manifest.entries[0].path))"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    answer = subprocess.run(
        [sys.executable, "-c", program, artifact_uri(str(tmp_path))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == r"'\xfc'"


def test_a_name_that_is_not_utf_8_is_refused_by_name(data):
    with open(os.fsencode(data) + b"/sub/caf\xe9", "wb"):
        pass
    with pytest.raises(CaptureError, match=r"expected a name in UTF-8.*rename '.*sub/caf\\udce9'"):
        describe(data)


def test_a_single_file_may_have_a_name_that_is_not_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    with open(path, "wb") as handle:
        handle.write(b"content")
    artifact = describe(path)
    assert artifact.uri.endswith("/caf%E9")
    assert artifact.sha256 == hashlib.sha256(b"content").hexdigest()


def test_a_link_at_the_uri_is_followed_and_keeps_its_name(data, tmp_path):
    (tmp_path / "latest").symlink_to("data")
    (tmp_path / "one").symlink_to("latest/small")
    assert describe(tmp_path / "latest").sha256 == describe(data).sha256
    assert describe(tmp_path / "latest").uri.endswith("/latest")
    assert describe(tmp_path / "one").sha256 == hashlib.sha256(b"small").hexdigest()


def test_a_link_to_a_file_inside_is_that_file(data):
    (data / "sub" / "link").symlink_to("../small")
    (data / "chain").symlink_to("sub/link")
    (data / "absolute").symlink_to(data / "small")
    found = {entry.path: entry.sha256 for entry in describe(data).manifest.entries}
    assert {found[path] for path in ("small", "sub/link", "chain", "absolute")} == {
        hashlib.sha256(b"small").hexdigest()
    }


@pytest.mark.parametrize(
    "target",
    ["../outside", "/etc/passwd", "sub", "nowhere", "link", ".", "..", "../data-beside/file", "sub/../../outside"],
)
def test_any_other_link_inside_a_directory_is_refused_by_name(data, tmp_path, target):
    (tmp_path / "outside").write_bytes(b"")
    (tmp_path / "data-beside").mkdir()
    (tmp_path / "data-beside" / "file").write_bytes(b"")
    (data / "link").symlink_to(target)
    with pytest.raises(CaptureError, match=r"expected a symbolic link to a file inside the directory: '.*/data/link'"):
        describe(data)


def test_a_link_that_leads_nowhere_is_nothing(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(MissingError, match="nothing is at"):
        describe(tmp_path / "link")


def test_a_link_that_leads_to_itself_cannot_be_read(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(CaptureError, match="cannot be read: Too many levels of symbolic links"):
        describe(tmp_path / "link")


@pytest.mark.parametrize("inside", [False, True])
def test_a_pipe_is_refused_and_waits_for_nobody(tmp_path, inside):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaptureError, match="not a pipe, socket or device"):
        describe(tmp_path if inside else tmp_path / "pipe")


def test_sockets_and_devices_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        for path in (tmp_path, tmp_path / "s", "/dev/null", "/dev/zero"):
            with pytest.raises(CaptureError, match="not a pipe, socket or device"):
                describe(path)


def test_a_file_that_denies_its_size_is_refused():
    # Files of /proc say that they are empty.
    with pytest.raises(CaptureError, match="changed while it was hashed"):
        describe("/proc/self/status")


def test_what_may_not_be_read_says_so(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"secret")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(CaptureError, match="cannot be read: Permission denied"):
            describe(path)
    finally:
        os.seteuid(user)


def test_a_directory_of_too_many_files_is_refused_before_any_is_hashed(data, monkeypatch):
    monkeypatch.setattr(file, "MAX_ENTRIES", 1)
    monkeypatch.setattr(hashlib, "sha256", None)
    with pytest.raises(CaptureError, match="at most 1 files"):
        describe(data)


def test_an_empty_directory_has_a_digest_of_its_own(tmp_path):
    assert describe(tmp_path).manifest.to_bytes() == b'{"entries":[],"v":1}'


def test_many_large_files_are_each_hashed_once_by_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    contents = {f"{number:02}": bytes([number]) * (LARGE + number) for number in range(40)} | {"small": b"s"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    entries = describe(tmp_path).manifest.entries
    assert {entry.path: entry.sha256 for entry in entries} == {
        name: hashlib.sha256(content).hexdigest() for name, content in contents.items()
    }


def test_trouble_with_one_of_many_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for number in range(12):
        (tmp_path / f"{number:02}").write_bytes(bytes(LARGE))
    opened = os.open

    def failing(path, *arguments, **more):
        if os.fsencode(path).endswith(b"/07"):
            raise OSError(5, "Input/output error")
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(CaptureError, match="cannot be read: Input/output error"):
        describe(tmp_path)
