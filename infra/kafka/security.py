"""TLS, users with passwords (SCRAM), and what each user may do: the secured form of the cluster.

The nodes speak TLS to everyone and prove themselves to each other's controllers by certificate.  Clients log in with
a password.  Whatever is not granted in `GRANTS` is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.kafka.jars import BrokerError

NODE = "fieldtap-node"
"""Name in the certificate of the nodes."""
MECHANISM = "SCRAM-SHA-512"

GRANTS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "sensor": (
        ("TOPIC", "fieldtap.records", "WRITE"),
        ("TOPIC", "fieldtap.names", "WRITE"),
    ),
    "worker": (
        ("TOPIC", "fieldtap.*", "READ"),
        ("TOPIC", "fieldtap.*", "WRITE"),
        ("GROUP", "fieldtap-*", "READ"),
    ),
}
"""What each user may do with which names; one that ends in a star stands for all names that begin so.  A sensor may
write and never read: who takes its password learns nothing of the plant.  The user `admin` may do everything."""


@dataclass(frozen=True)
class Security:
    """The certificates and passwords in a folder."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Security:
        """Make the certificates and a password for each user, unless they are there.

        Raises:
            BrokerError: `trustme`, which makes the certificates, is not installed.
        """
        found = cls(folder)
        if not found.authority.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for user in ("admin", *GRANTS):
                _write(folder / f"{user}.password", secrets.token_urlsafe(24).encode())
                _write(folder / f"{user}.toml", found._settings(user).encode())
            _certify(found)
        return found

    @property
    def authority(self) -> Path:
        """Certificate of the authority that clients trust."""
        return self.folder / "ca.pem"

    @property
    def node(self) -> Path:
        """Key and certificate of the nodes."""
        return self.folder / "node.pem"

    def password(self, user: str) -> str:
        """The password of a user.

        Raises:
            BrokerError: there is no such user.
        """
        try:
            return (self.folder / f"{user}.password").read_text()
        except FileNotFoundError:
            raise BrokerError(f"{self.folder}: there is no user {user!r}") from None

    def client(self, user: str) -> dict[str, Any]:
        """Settings of librdkafka to enter as `user`."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority),
            "sasl.mechanism": MECHANISM,
            "sasl.username": user,
            "sasl.password": self.password(user),
        }

    def hints(self) -> Iterator[str]:
        """Lines that tell a person how to enter."""
        for user in ("admin", *GRANTS):
            yield f"--config {self.folder / user}.toml"

    def properties(self) -> dict[str, str]:
        """What the nodes' settings say of it."""
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        login = f'{module} required username="admin" password="{self.password("admin")}";'
        return {
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.node),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority),
            "listener.name.controller.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": r"RULE:^.*CN=([^,]+).*$/$1/,DEFAULT",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config": login,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": f"User:admin;User:{NODE}",
        }

    def format_options(self) -> list[str]:
        """Options of Kafka's StorageTool that put the users into a new cluster."""
        users = (f"name={user},password={self.password(user)}" for user in ("admin", *GRANTS))
        return [word for user in users for word in ("--add-scram", f"{MECHANISM}=[{user}]")]

    def grant(self, admin: Mapping[str, Any]) -> None:
        """Tell the cluster what each user may do; `admin` are the settings of a client that may."""
        from confluent_kafka.admin import (
            AclBinding,
            AclOperation,
            AclPermissionType,
            AdminClient,
            ResourcePatternType,
            ResourceType,
        )

        bindings = [
            AclBinding(
                ResourceType[kind],
                name.rstrip("*"),
                ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[verb],
                AclPermissionType.ALLOW,
            )
            for user, grants in GRANTS.items()
            for kind, name, verb in grants
        ]
        client = AdminClient({**admin, "log_level": 0})  # held: with it end its requests
        for done in client.create_acls(bindings).values():
            done.result(timeout=30)

    def _settings(self, user: str) -> str:
        return (
            "[kafka]\n"
            '"security.protocol" = "SASL_SSL"\n'
            f'"ssl.ca.location" = "{self.authority}"\n'
            f'"sasl.mechanism" = "{MECHANISM}"\n'
            f'"sasl.username" = "{user}"\n'
            f'"sasl.password" = {{ file = "{user}.password" }}\n'
        )


def _certify(security: Security) -> None:
    try:
        import trustme
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise BrokerError(
            f"certificates are made by trustme, which is missing ({error.name}); run: make setup"
        ) from None
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost", common_name=NODE)
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    # Java reads keys in PKCS #8 only.
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(security.node, pkcs8 + b"".join(part.bytes() for part in issued.cert_chain_pems))
    _write(security.authority, authority.cert_pem.bytes())


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
