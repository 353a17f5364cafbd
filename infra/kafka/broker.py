"""A real Apache Kafka on loopback, without Docker: one node, or three.

    python -m infra.kafka.broker up [--nodes 3] [--data DIR] [--ports-from N] [--tls]
    python -m infra.kafka.broker status | kill N | start N | down [--data DIR]

Each node is broker and controller (KRaft) in one Java process.  All that it writes lies under the data folder, which
outlives the processes: `up` starts a cluster that was there before with the nodes, ports and data that it had.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shutil import which
from typing import Any

from infra.kafka.jars import HERE, BrokerError, fetch, java
from infra.kafka.properties import properties
from infra.kafka.security import Security

HOST = "127.0.0.1"
USUAL_PORT = 19092
LOWEST_FREE, HIGHEST_FREE = 20_000, 32_000
"""Ports chosen by ourselves stay below those that the system gives to outgoing connections."""
READY_S = 90.0
STOP_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a cluster was made with; kept as `cluster.json`."""

    cluster_id: str
    ports: tuple[int, ...]
    """Port of each node, the first node's first; its controller listens on the next one."""
    tls: bool = False

    @property
    def nodes(self) -> range:
        """Ids of the nodes."""
        return range(1, len(self.ports) + 1)


@dataclass
class Cluster:
    """Kafka nodes whose data lies in `data`.

    Attributes:
        data: folder of this cluster alone.
        tied: made for a test.  The nodes end with the process that started them (where `setpriv` is installed), so
            that a test run that is killed leaves no broker behind; and Java compiles quickly rather than well, which
            saves a third of the work of starting.
        settings: properties of the brokers that differ from `infra/kafka/properties.py`.
    """

    data: Path
    tied: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    _children: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = self.data.resolve()

    # --- what there is

    @property
    def layout(self) -> Layout:
        """What it was made with.

        Raises:
            BrokerError: nothing was made here.
        """
        try:
            kept = json.loads((self.data / "cluster.json").read_text())
        except FileNotFoundError:
            raise BrokerError(f"{self.data}: there is no cluster here; start one with: up") from None
        return Layout(**{**kept, "ports": tuple(kept["ports"])})

    @property
    def bootstrap(self) -> str:
        """Addresses of all nodes, for `bootstrap.servers`."""
        return ",".join(f"{HOST}:{port}" for port in self.layout.ports)

    @property
    def security(self) -> Security | None:
        """Certificates and users, or None for a cluster that takes everyone."""
        return Security(self.data / "tls") if self.layout.tls else None

    def client(self, user: str = "admin") -> dict[str, Any]:
        """Settings of a confluent-kafka client that may enter as `user` (who matters with TLS only)."""
        security = self.security
        return {"bootstrap.servers": self.bootstrap, **(security.client(user) if security else {})}

    def pid(self, node: int) -> int | None:
        """Process id of a node, None when it does not run."""
        child = self._children.get(node)
        if child is not None:
            return child.pid if child.poll() is None else None
        try:
            pid = int((self._node(node) / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self._node(node) / "server.properties") in _command(pid) else None

    def _node(self, node: int) -> Path:
        if node not in self.layout.nodes:
            raise BrokerError(f"{self.data}: there is no node {node}; there are {len(self.layout.ports)}")
        return self.data / f"node{node}"

    # --- what is done with it

    def up(self, *, nodes: int = 1, ports_from: int = 0, tls: bool = False) -> None:
        """Make the cluster unless it is there, start the nodes that do not run, and wait until all answer.

        Args:
            nodes: 1 or 3; matters for a new cluster, like what follows.
            ports_from: first of `2 * nodes` ports; 0 for free ones.
            tls: clients must encrypt, log in and be allowed (`infra/kafka/security.py`).

        Raises:
            BrokerError: Java or jars are missing, or the nodes do not come up; with what they said last.
        """
        new = not (self.data / "cluster.json").exists()
        if new:
            self._make(nodes, ports_from, tls)
        for attempts_left in (2, 1, 0):
            self._prepare()
            try:
                for node in self.layout.nodes:
                    if self.pid(node) is None:
                        self._launch(node)
                self._wait(*self.layout.nodes)
                break
            except PortTakenError:
                self.kill(*self.layout.nodes)
                if not new or ports_from or not attempts_left:
                    raise
                # Someone took the port between our look and the node's start.
                self._keep(replace(self.layout, ports=tuple(_free_ports(nodes))))
        if security := self.security:
            security.grant(self.client())

    def start(self, node: int) -> None:
        """Start a node again, and wait until it answers and knows of the nodes that run."""
        if self.pid(node) is None:
            self._launch(node)
        self._wait(node)

    def stop(self, *nodes: int) -> None:
        """End nodes in order (SIGTERM), by force after 20 s."""
        self._signal(nodes, signal.SIGTERM)
        try:
            self._gone(nodes, STOP_S)
        except BrokerError:
            self.kill(*nodes)

    def kill(self, *nodes: int) -> None:
        """End nodes at once (SIGKILL)."""
        self._signal(nodes, signal.SIGKILL)
        self._gone(nodes, STOP_S)

    def freeze(self, node: int) -> None:
        """Stop a node's process (SIGSTOP): its connections stay open and nothing answers."""
        self._signal((node,), signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self._signal((node,), signal.SIGCONT)

    def down(self) -> None:
        """Stop all nodes.  The data stays."""
        self.stop(*self.layout.nodes)

    # --- how

    def _make(self, nodes: int, ports_from: int, tls: bool) -> None:
        if nodes not in (1, 3):
            raise BrokerError(f"a cluster has 1 or 3 nodes, not {nodes}")
        ports = [ports_from + 2 * n for n in range(nodes)] if ports_from else _free_ports(nodes)
        self.data.mkdir(parents=True, exist_ok=True)
        if tls:
            Security.create(self.data / "tls")
        # One that begins with a dash would be taken for an option by Kafka's own tool.
        cluster_id = "F" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        self._keep(Layout(cluster_id=cluster_id, ports=tuple(ports), tls=tls))

    def _keep(self, layout: Layout) -> None:
        (self.data / "cluster.json").write_text(json.dumps(asdict(layout)) + "\n")

    def _prepare(self) -> None:
        """Write the settings of each node, and format the folder of one that never ran."""
        tools = []
        for node in self.layout.nodes:
            place = self._node(node)
            place.mkdir(exist_ok=True)
            told = properties(node, self.layout.ports, place / "data", self.security) | dict(self.settings)
            file = place / "server.properties"
            file.touch(mode=0o600)  # it may hold a password
            file.write_text("".join(f"{key}={value}\n" for key, value in told.items()))
            if not (place / "data" / "meta.properties").exists():
                words = ["format", "-t", self.layout.cluster_id, "-c", str(file)]
                words += self.security.format_options() if self.security else []
                words = [*_java_words(place, "128m", _QUICK), "kafka.tools.StorageTool", *words]
                tools.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for tool in tools:
            said = tool.communicate()[0]
            if tool.returncode:
                raise BrokerError(f"{self.data}: Kafka cannot format its folder: {_last_line(said)}")

    def _launch(self, node: int) -> None:
        place = self._node(node)
        words = [*_java_words(place, os.environ.get("KAFKA_HEAP", "512m"), _QUICK if self.tied else ""), "kafka.Kafka"]
        if self.tied and (setpriv := which("setpriv")):
            words = [setpriv, "--pdeathsig", "KILL", "--", *words]
        with (place / "out.log").open("wb") as out:
            child = subprocess.Popen(
                [*words, str(place / "server.properties")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends who started it first
            )
        self._children[node] = child
        (place / "pid").write_text(f"{child.pid}\n")

    def _wait(self, *nodes: int) -> None:
        """Until each of `nodes` itself answers with metadata that names all running nodes."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        end = time.monotonic() + READY_S
        for node in nodes:
            asked = {**self.client(), "bootstrap.servers": f"{HOST}:{self.layout.ports[node - 1]}"}
            admin = AdminClient({**asked, "log_level": 0, "reconnect.backoff.max.ms": 250})
            while True:
                try:
                    known = set(admin.list_topics(timeout=1).brokers)
                except KafkaException:
                    known = set()
                running = {n for n in self.layout.nodes if self.pid(n) is not None}
                if node not in running:
                    raise self._failed(node)
                if running <= known:
                    break
                if time.monotonic() > end:
                    raise BrokerError(f"{self._node(node)}: node {node} does not answer after {READY_S:.0f} s")

    def _failed(self, node: int) -> BrokerError:
        place = self._node(node)
        logs = [log.read_text(errors="replace") for log in (place / "out.log", place / "server.log") if log.exists()]
        if any("Address already in use" in log for log in logs):
            return PortTakenError(f"{place}: port {self.layout.ports[node - 1]} or the next one is taken")
        said = next((line for log in logs if (line := _last_line(log))), "it said nothing")
        return BrokerError(f"{place}: node {node} ended: {said}")

    def _signal(self, nodes: tuple[int, ...], number: signal.Signals) -> None:
        for node in nodes:
            pid = self.pid(node)
            if pid is not None:
                os.kill(pid, number)

    def _gone(self, nodes: tuple[int, ...], within_s: float) -> None:
        for node in _until(within_s, lambda: [n for n in nodes if self.pid(n) is not None]):
            raise BrokerError(f"{self._node(node)}: node {node} does not end within {within_s:.0f} s")


class PortTakenError(BrokerError):
    """A node could not listen."""


def _until(within_s: float, left: Callable[[], list[int]]) -> list[int]:
    """What is still left, after at most so long."""
    end = time.monotonic() + within_s
    while (found := left()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


_QUICK = "-XX:TieredStopAtLevel=1"


def _java_words(place: Path, heap: str, *more: str) -> list[str]:
    return [
        java(),
        *filter(None, more),
        "-Xms64m",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
        f"-Dfieldtap.node={place}",
        "-cp",
        f"{fetch()}/*",
    ]


def _command(pid: int) -> str:
    """The command line of a process, empty when there is none: a number in a file may be another's by now."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    asked = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False)
    return asked.stdout


def _free_ports(pairs: int) -> list[int]:
    """First ports of so many pairs on which nobody listens now."""
    found: list[int] = []
    while len(found) < pairs:
        port = secrets.choice(range(LOWEST_FREE, HIGHEST_FREE, 2))
        if port not in found and _is_free(port) and _is_free(port + 1):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("\tat ", " "))]
    return lines[-1] if lines else ""


# --- the command


def _status(cluster: Cluster) -> Iterator[str]:
    for node, port in enumerate(cluster.layout.ports, 1):
        pid = cluster.pid(node)
        yield f"node {node}  {HOST}:{port}  {f'runs as {pid}' if pid else 'does not run'}  {cluster.data}/node{node}"


def main() -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="broker", description="A real Kafka on loopback, without Docker.")
    parser.add_argument("what", choices=["up", "down", "kill", "start", "status"])
    parser.add_argument("node", type=int, nargs="?", help="which node: kill and start")
    parser.add_argument("--data", type=Path, default=Path(".kafka"), help="folder of the cluster (.kafka)")
    parser.add_argument("--nodes", type=int, default=1, choices=[1, 3], help="of a new cluster (1)")
    parser.add_argument(
        "--ports-from", type=int, default=USUAL_PORT, help=f"first port, 0 for free ones ({USUAL_PORT})"
    )
    parser.add_argument("--tls", action="store_true", help="encrypted, with users and what each may do")
    given = parser.parse_args()
    if (given.node is None) == (given.what in ("kill", "start")):
        parser.error("kill and start, and only they, take the number of a node")
    cluster = Cluster(given.data)
    try:
        if given.what == "up":
            cluster.up(nodes=given.nodes, ports_from=given.ports_from, tls=given.tls)
        elif given.what == "down":
            cluster.down()
        elif given.what == "kill":
            cluster.kill(given.node)
        elif given.what == "start":
            cluster.start(given.node)
        print("\n".join(_status(cluster)))
        if given.what == "up":
            print(f"--kafka {cluster.bootstrap}")
            for line in cluster.security.hints() if cluster.security else ():
                print(line)
    except BrokerError as error:
        sys.exit(f"broker: {error}")


if __name__ == "__main__":
    main()
