"""The protocols, one line each: the module that decodes and the one that names."""

from __future__ import annotations

from importlib import import_module

from pipeline.decode.protocols.base import ProtocolModule, ProtocolNames
from schemas.codes import Protocol

DECODERS: dict[Protocol, str] = {
    Protocol.MODBUS: "pipeline.decode.protocols.modbus",
    Protocol.DNP3: "pipeline.decode.protocols.dnp3",
    Protocol.IEC104: "pipeline.decode.protocols.iec104",
    Protocol.BACNET: "pipeline.decode.protocols.bacnet",
    Protocol.S7COMM: "pipeline.decode.protocols.s7",
    Protocol.ENIP: "pipeline.decode.protocols.enip",
}
NAMES: dict[Protocol, str] = {
    Protocol.MODBUS: "pipeline.decode.protocols.modbus_names",
    Protocol.DNP3: "pipeline.decode.protocols.dnp3_names",
    Protocol.IEC104: "pipeline.decode.protocols.iec104_names",
    Protocol.BACNET: "pipeline.decode.protocols.bacnet_names",
    Protocol.S7COMM: "pipeline.decode.protocols.s7_names",
    Protocol.ENIP: "pipeline.decode.protocols.enip_names",
}


def decoder(protocol: Protocol) -> ProtocolModule:
    """The decoding half of `protocol`; importing it does not yet compile its kernels."""
    module: ProtocolModule = import_module(DECODERS[protocol]).MODULE
    return module


def names(protocol: Protocol) -> ProtocolNames | None:
    """The naming half of `protocol`, None where it has none."""
    if protocol not in NAMES:
        return None
    found: ProtocolNames = import_module(NAMES[protocol]).NAMES
    return found
