"""The first start on a machine: what is compiled ahead, in two processes, is what a run then calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pipeline.synth import simulate
from tests.synth.reading import modbus_alone

_PROGRAM = """
import sys
from pathlib import Path

from numba.core import event

from pipeline.config import Config
from pipeline.run import run
from pipeline.run.first import compile_in_two


class Compiled(event.Listener):
    def on_start(self, told):
        print(told.data["dispatcher"].py_func.__module__)

    def on_end(self, told):
        pass


compile_in_two(judging=True)
event.register("numba:compile", Compiled())
run([Path(sys.argv[1])], Path(sys.argv[2]), Config())
"""


def test_a_run_finds_every_kernel_compiled(tmp_path: Path) -> None:
    plant = simulate(tmp_path / "plant", minutes=1, seed=1).capture
    # Other protocols are compiled when their first packet comes.
    capture = modbus_alone(plant, tmp_path / "modbus.pcap")
    words = [sys.executable, "-c", _PROGRAM, str(capture), str(tmp_path / "out")]
    place = {"FIELDTAP_CACHE": str(tmp_path / "cache"), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(words, env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "health.parquet").exists()
    # What reads the capture's format, and encodings that a column of one row does not need: a second in all.
    assert set(done.stdout.split()) <= {"pipeline.capture.kernels", "pipeline.sink.kernels"}


_LOOK = """
import sys

from detectors import jit
from detectors.registry import REGISTERED, load
from pipeline import run
from pipeline.cli import commands
from pipeline.config import Config

Config()
for name in REGISTERED:
    load(name)
sys.exit(jit.is_warm())
"""


def test_nothing_compiles_before_it_was_said(tmp_path: Path) -> None:
    place = {"FIELDTAP_CACHE": str(tmp_path / "cache"), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _LOOK], env=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
