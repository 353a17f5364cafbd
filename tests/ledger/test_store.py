"""Stores: a name can be taken once, what is there is whole, and no answer is better than a wrong one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError
from obstore.store import MemoryStore

from pipeline.store import Store, StoreError, StoreFull, StoreMissing, StoreUnclear, open_store, probe
from pipeline.store import objects as object_module
from pipeline.store.disk import Disk
from pipeline.store.folder import FolderStore
from pipeline.store.objects import ObjectStore

THREADS = 16
NAMES = 8


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """Options of a bucket `ledger` in an S3 that this process serves."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    obstore.put(
        object_module.from_url(f"{endpoint}/", client_options={"allow_http": True}), "ledger", b"", use_multipart=False
    )
    yield {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "x", "secret_access_key": "x"}
    server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    if request.param == "memory":
        return open_store("memory:///")
    folder = tmp_path.name.replace("_", "-")
    return open_store(f"s3://ledger/{folder}", request.getfixturevalue("s3"))


def race(work: Any) -> list[bool]:
    """What `work(i)` gives in each of 16 threads that start together."""
    barrier = Barrier(THREADS)

    def one(i: int) -> bool:
        barrier.wait()
        return bool(work(i))

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


def test_of_sixteen_exactly_one_takes_a_name(store: Store) -> None:
    for n in range(NAMES):
        name = f"epochs/r/t/{n:020d}"
        won = race(lambda i, name=name: store.create(name, b"%d" % i * 1000))
        assert sum(won) == 1
        assert store.read(name) == b"%d" % won.index(True) * 1000
    assert store.names("epochs") == [
        (f"epochs/r/t/{n:020d}", len(store.read(f"epochs/r/t/{n:020d}"))) for n in range(NAMES)
    ]


def test_what_is_there_can_be_listed_read_and_replaced(store: Store) -> None:
    for name in ("a/b/2", "a/b/1", "a/c", "ab/x"):
        assert store.create(name, name.encode())
    assert store.names("a") == [("a/b/1", 5), ("a/b/2", 5), ("a/c", 3)]
    assert store.names("a/b") == store.names("a/b/") == [("a/b/1", 5), ("a/b/2", 5)]
    assert store.names("a", after="a/b/1") == [("a/b/2", 5), ("a/c", 3)]
    assert store.names("nothing") == []
    store.replace("a/b/1", b"")
    assert store.read("a/b/1") == b""
    assert store.names("a/b") == [("a/b/1", 0), ("a/b/2", 5)]
    assert not store.create("a/b/1", b"again")
    with pytest.raises(StoreMissing, match="nothing is there under a/b/3"):
        store.read("a/b/3")


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "a\0", "ä", "a" * 201, "a/" * 500 + "a"]
)
def test_a_name_that_some_store_could_not_hold_is_refused(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="no name for an object"):
        store.create(name, b"")
    with pytest.raises(StoreError, match="no name for an object"):
        store.read(name)


def test_the_probe_is_passed_again_and_again(store: Store) -> None:
    probe(store)
    probe(store)
    assert [name for name, _ in store.names("probe")] == ["probe/exclusive"]


def test_the_probe_finds_a_store_that_ignores_the_condition() -> None:
    class Overwrites(ObjectStore):
        def create(self, name: str, data: bytes) -> bool:
            self.replace(name, data)
            return True

    with pytest.raises(StoreError, match="could be created again"):
        probe(Overwrites(MemoryStore(), "look-alike"))


def test_the_probe_finds_a_store_that_refuses_and_yet_overwrites() -> None:
    class RefusesTooLate(ObjectStore):
        def create(self, name: str, data: bytes) -> bool:
            taken = not super().create(name, data)
            self.replace(name, data)
            return not taken

    with pytest.raises(StoreError, match="could be created again"):
        probe(RefusesTooLate(MemoryStore(), "look-alike"))


@pytest.mark.parametrize("url", ["ftp://x/y", "s4://bucket"])
def test_another_kind_of_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="cannot open the store"):
        open_store(url)


# --- object stores: no clear answer


def test_a_server_that_does_not_answer_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_module, "_RETRIES", 0)
    store = open_store(
        "s3://ledger/x",
        {"endpoint": "http://127.0.0.1:9", "region": "us-east-1", "access_key_id": "x", "secret_access_key": "x"},
    )
    for call in (
        lambda: store.create("a", b""),
        lambda: store.read("a"),
        lambda: store.names("a"),
        lambda: store.replace("a", b""),
    ):
        with pytest.raises(StoreUnclear, match="s3://ledger/x: cannot"):
            call()


def test_a_conflict_of_which_nothing_comes_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    def conflicts(*_: Any, **__: Any) -> None:
        raise AlreadyExistsError("409 ConditionalRequestConflict")

    monkeypatch.setattr(obstore, "put", conflicts)
    with pytest.raises(StoreUnclear, match="cannot create a: 409"):
        ObjectStore(MemoryStore(), "s3://x").create("a", b"")


def test_an_error_of_the_server_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise GenericError("500 Internal Server Error\n\nDebug source:\nmuch")

    monkeypatch.setattr(obstore, "put", fails)
    with pytest.raises(StoreUnclear, match=r"cannot create a: 500 Internal Server Error$"):
        ObjectStore(MemoryStore(), "s3://x").create("a", b"")


# --- folders


class NoLinks(Disk):
    def link(self, path: str, to: str) -> None:
        raise PermissionError(1, "Operation not permitted")


def test_a_file_system_without_hard_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.folder.Disk", NoLinks)
    with pytest.raises(StoreError, match="must know hard links"):
        open_store(str(tmp_path))
    assert list((tmp_path / ".pending").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot make the store's folder"):
        open_store(str(tmp_path / "file/store"))


def test_what_a_crash_left_goes_and_what_is_being_made_stays(tmp_path: Path) -> None:
    open_store(str(tmp_path))
    old, new = tmp_path / ".pending/1-old", tmp_path / ".pending/2-new"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (1, 1))
    store = open_store(f"file://{tmp_path}")
    assert [path.name for path in (tmp_path / ".pending").iterdir()] == ["2-new"]
    assert store.names("a") == []


class Recorder(Disk):
    """Notes what is asked of the disk."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []

    def write(self, path: str, data: bytes) -> None:
        self.done.append(("write",))
        super().write(path, data)

    def link(self, path: str, to: str) -> None:
        self.done.append(("link", os.path.basename(to)))
        super().link(path, to)

    def sync(self, folder: str) -> None:
        self.done.append(("sync", os.path.basename(folder)))
        super().sync(folder)


def test_names_are_on_disk_before_anyone_relies_on_them(tmp_path: Path) -> None:
    for name in ("pending", "a/b"):
        (tmp_path / name).mkdir(parents=True)
    disk = Recorder()
    store = FolderStore(str(tmp_path), disk)
    assert store.create("a/b/1", b"x")
    assert disk.done[-3:] == [("write",), ("link", "1"), ("sync", "b")]
    assert ("sync", "a") in disk.done[:-3]
    assert ("sync", tmp_path.name) in disk.done[:-3]
    disk.done.clear()
    assert not store.create("a/b/1", b"y")
    assert disk.done[-1] == ("sync", "b")
    other = FolderStore(str(tmp_path), disk)
    disk.done.clear()
    assert other.names("a/b") == [("a/b/1", 1)]
    assert {("sync", "b"), ("sync", "a"), ("sync", tmp_path.name)} <= set(disk.done)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_leaves_no_debris(small_disk: Path) -> None:
    store = open_store(str(small_disk))
    assert store.create("a/0", bytes(600_000))
    for _ in range(3):
        with pytest.raises(StoreFull, match="cannot create a/1: No space left on device"):
            store.create("a/1", bytes(600_000))
    with pytest.raises(StoreFull, match="cannot replace a/0"):
        store.replace("a/0", bytes(700_000))
    assert list((small_disk / ".pending").iterdir()) == []
    assert store.names("a") == [("a/0", 600_000)]
    store.replace("a/0", b"")
    assert store.create("a/1", bytes(600_000))
