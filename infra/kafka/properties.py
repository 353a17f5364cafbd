"""The settings of a broker node: made for tests and for a small site, on one machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infra.kafka.security import Security

MOST_BYTES = 1 << 20
"""Largest message: ours are at most 900 KB."""


def properties(node: int, ports: Sequence[int], data: Path, security: Security | None) -> dict[str, str]:
    """`server.properties` of a node.

    Args:
        node: its id, from 1.
        ports: of each node in turn; its controller has the next one.
        data: where its log lies.
        security: certificates and users, None for a cluster that takes everyone.
    """
    replicas, in_sync = str(len(ports)), str((len(ports) + 1) // 2)
    port = ports[node - 1]
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p + 1}" for n, p in enumerate(ports, 1)),
        "listeners": f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "advertised.listeners": f"CLIENTS://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        "log.dirs": str(data),
        # Nothing is lost that was acknowledged, and nothing comes into being by a slip of the pen.
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "message.max.bytes": str(MOST_BYTES),
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "4",
        # A worker that died is noticed within seconds.  A group of KIP-848 has these from the broker, not from its
        # members; a member of an older group asks for its own.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.session.timeout.ms": "6000",
        "group.consumer.min.heartbeat.interval.ms": "200",
        "group.consumer.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "6000",
        # Threads and memory for a small machine.
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        **(security.properties() if security else {"listener.security.protocol.map": _OPEN}),
    }


_OPEN = "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT"
