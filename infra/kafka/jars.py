"""What a broker is made of: Java, and Kafka's jars, fetched once per machine by Maven."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
POM = HERE / "pom.xml"
OLDEST_JAVA = 17


class BrokerError(RuntimeError):
    """A broker that cannot be had, started or reached; the message is one line."""


def java() -> str:
    """The Java to run.

    Raises:
        BrokerError: none, or one too old; says how to install it.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    install = "install it with: apt-get install openjdk-17-jre-headless"
    if found is None:
        raise BrokerError(f"a Kafka broker needs Java {OLDEST_JAVA}, and there is none; {install}")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < OLDEST_JAVA:
        first = told.partition("\n")[0]
        raise BrokerError(f"a Kafka broker needs Java {OLDEST_JAVA}, {found} says {first!r}; {install}")
    return found


def folder() -> Path:
    """Where the jars of this `pom.xml` are kept: under $FIELDTAP_CACHE, $XDG_CACHE_HOME or ~/.cache."""
    base = os.environ.get("FIELDTAP_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "fieldtap" / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]


def fetch() -> Path:
    """The folder of the jars, filled by Maven if this machine does not have them yet.

    Raises:
        BrokerError: there is no Maven, or it failed.
    """
    jars = folder()
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError(
            "Kafka's jars are fetched by Maven, and there is none; install it with: apt-get install maven"
        )
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetch-") as scratch:
        made = Path(scratch) / "jars"
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={made}"]
        done = subprocess.run(
            [maven, "-B", "-q", "-f", str(POM), *copy], capture_output=True, text=True, cwd=scratch, check=False
        )
        if done.returncode:
            told = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")] or ["it says nothing"]
            raise BrokerError(f"Maven could not fetch Kafka's jars: {told[0].removeprefix('[ERROR] ')}")
        try:
            made.rename(jars)
        except OSError:  # someone else was faster; the jars are the same
            if not jars.is_dir():
                raise
    return jars


def missing() -> str | None:
    """Why no broker can be started on this machine, or None."""
    try:
        java()
        fetch()
    except BrokerError as error:
        return str(error)
    return None
