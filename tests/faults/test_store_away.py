"""The store is full, or gone for a while: workers pause, stay in their group, and go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.kafka.broker import _free_ports
from tests.faults.conftest import MakeGround
from tests.faults.ground import Ground
from tests.faults.processes import until
from tests.faults.verdict import dose, hold, seed, verdict

POLL_MS = 10_000
"""A worker that does not poll for so long is put out of the group."""
SMALL = "48m"


def go_without(ours: Ground, times: int, take_away: Callable[[], object], give_back: Callable[[], object]) -> int:
    """Take the store away for longer than a worker may be silent, again and again; how many members were replaced."""
    team = [ours.workers.start() for _ in range(2)]
    replaced = 0
    for _ in range(times):
        until("both have partitions", lambda: len(ours.members()) == len(team) and ours.assigned())
        ours.blocks(2)
        ours.flush()
        ends = ours.ends(ours.records)
        until("the store is written to", lambda ends=ends: ours.reached() == ends)
        before = set(ours.members())
        take_away()
        away = time.monotonic() + 1.5 * POLL_MS / 1000
        while time.monotonic() < away:
            ours.workers.check()
            ours.blocks(1)
            ours.flush()
            time.sleep(0.2)
        replaced += len(before ^ set(ours.members()))
        give_back()
    ours.finish()
    ours.wait()
    assert ours.leave(team) == [0, 0]
    return replaced


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a few megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here; it takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_disk_full(ground: MakeGround, small_disk: Path) -> None:
    times = dose("FULL", 2)
    ours = ground(seed(14), address=str(small_disk / "store"), consumer={"max.poll.interval.ms": POLL_MS}, revoke_s=2.0)
    filler, began = small_disk / "filler", time.monotonic()

    def fill() -> None:
        with filler.open("wb", buffering=0) as out:
            size = 1 << 20
            while size:
                try:
                    out.write(bytes(size))
                except OSError:
                    size //= 2

    replaced = go_without(ours, times, fill, filler.unlink)
    made = verdict(ours, "disk of the store full", times, began, members_replaced=replaced)
    assert replaced == 0
    hold(made)


def test_folder_away(ground: MakeGround) -> None:
    times = dose("AWAY", 1)
    ours = ground(seed(15), consumer={"max.poll.interval.ms": POLL_MS}, revoke_s=2.0)
    store, elsewhere, began = Path(ours.url), ours.folder / "elsewhere", time.monotonic()
    replaced = go_without(ours, times, lambda: store.rename(elsewhere), lambda: elsewhere.rename(store))
    made = verdict(ours, "folder of the store away", times, began, members_replaced=replaced)
    assert replaced == 0
    hold(made)


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves S3, with a bucket `ledger`; this process and its workers find it by their environment."""
    pytest.importorskip("moto.server")
    (port,) = _free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def has_bucket() -> bool:
        request = urllib.request.Request(f"{endpoint}/ledger", method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    until("the bucket is made", has_bucket)
    given = {"ENDPOINT_URL": endpoint, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in (given | {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield server
    server.kill()
    server.wait()


def test_objects_away(ground: MakeGround, object_store: subprocess.Popen[bytes]) -> None:
    times = dose("AWAY", 1)
    ours = ground(
        seed(16), address="s3://ledger/here", consumer={"max.poll.interval.ms": POLL_MS}, revoke_s=2.0, epoch_s=0.6
    )
    began = time.monotonic()
    stop, go_on = signal.SIGSTOP, signal.SIGCONT
    replaced = go_without(ours, times, lambda: object_store.send_signal(stop), lambda: object_store.send_signal(go_on))
    made = verdict(ours, "object store answers nothing", times, began, members_replaced=replaced)
    assert replaced == 0
    hold(made)
