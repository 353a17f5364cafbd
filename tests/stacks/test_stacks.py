"""Real stacks talk over loopback: the records say what the client was told and what the server took."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from typing import Any

import pytest

from schemas.codes import FAULTS, Direction, Kind, Match, Op, PointType, Protocol, Space
from tests.decode.reading import Decoded, decode
from tests.faults.processes import until
from tests.stacks.wire import HOST, Wire, free_port, listens, wire


def records(said: Wire, protocol: Protocol) -> Decoded:
    """What fieldtap reads, after a look that it is of one protocol and that nothing is broken or unanswered."""
    found = decode(said.packets)
    assert {r.protocol for r in found.records} == {protocol}
    assert not any(r.anomaly & FAULTS for r in found.records), [r.anomaly for r in found.records]
    assert found.counted("not the protocol") == 0
    return found


def told(found: Decoded, direction: Direction) -> list[tuple[int, list[float]]]:
    """First address and values of each record whose points go that way."""
    return [(r.points[0].addr, r.values) for r in found.records if r.points and r.points[0].direction == direction]


def test_modbus() -> None:
    from pymodbus.client import AsyncModbusTcpClient
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    async def talk() -> tuple[Wire, list[Any]]:
        port = free_port()
        off, on = (
            SimData(0, count=16, datatype=DataType.BITS),
            SimData(0, count=16, values=True, datatype=DataType.BITS),
        )
        holding, inputs = (SimData(0, count=100, values=n, datatype=DataType.REGISTERS) for n in (17, 18))
        server = ModbusTcpServer(SimDevice(id=7, simdata=([off], [on], [holding], [inputs])), address=(HOST, port))
        serving = asyncio.create_task(server.serve_forever())
        while not listens(port):
            await asyncio.sleep(0.02)
        said: list[Any] = []
        with wire(port, 502) as between:
            client = AsyncModbusTcpClient(HOST, port=between.port)
            assert await client.connect()
            await client.write_registers(11, [500, 600], device_id=7)
            said.append((await client.read_holding_registers(10, count=3, device_id=7)).registers)
            await client.write_coil(3, True, device_id=7)
            said.append([float(bit) for bit in (await client.read_coils(0, count=8, device_id=7)).bits])
            said.append((await client.read_input_registers(5, count=2, device_id=7)).registers)
            said.append((await client.read_holding_registers(5000, count=3, device_id=7)).exception_code)
            await client.readwrite_registers(read_address=0, read_count=2, write_address=1, values=[9], device_id=7)
            client.close()
        await server.shutdown()
        serving.cancel()
        return between, said

    between, (registers, bits, inputs, refusal) = asyncio.run(asyncio.wait_for(talk(), 60))
    found = records(between, Protocol.MODBUS)
    assert all(r.match == Match.MATCHED for r in found.of(Kind.RESPONSE))
    assert {r.unit for r in found.records} == {7}
    assert registers == [17, 500, 600]
    assert told(found, Direction.READ) == [(10, registers), (0, bits), (5, inputs), (0, [17.0, 9.0])]
    assert told(found, Direction.WRITTEN) == [(11, [500.0, 600.0]), (3, [1.0]), (1, [9.0])]
    assert [r.status for r in found.records if r.status] == [refusal]


def test_s7() -> None:
    from snap7.client import Client
    from snap7.server import Server
    from snap7.type import SrvArea

    server, port = Server(log=False), free_port()
    server.register_area(SrvArea.DB, 1, bytearray(struct.pack(">f", 100.0) + bytes(60)))
    server.start(tcp_port=port)
    until("the server listens", lambda: listens(port), 30)
    try:
        with wire(port, 102) as between:
            client = Client()
            client.connect(HOST, 0, 1, between.port)
            client.db_write(1, 4, bytearray(b"\x12\x34"))
            data = list(client.db_read(1, 0, 8))
            clock = client.get_plc_datetime()
            client.plc_stop()
            client.disconnect()
    finally:
        server.stop()
    found = records(between, Protocol.S7COMM)
    assert data == [0x42, 0xC8, 0, 0, 0x12, 0x34, 0, 0]
    block = [(r.op, r.match, r.values) for r in found.records if r.space == Space.S7_DATA_BLOCK and r.points]
    assert block == [(Op.WRITE, Match.PENDING, [0x12, 0x34]), (Op.READ, Match.MATCHED, data)]
    (when,) = (p for r in found.records for p in r.points if p.type == PointType.TIME)
    assert when.value == clock.timestamp()
    assert [(r.kind, r.status) for r in found.records if r.op == Op.STOP] == [(Kind.REQUEST, 0), (Kind.RESPONSE, 0)]


def test_iec104() -> None:
    import c104

    def accept(point: Any, previous_info: Any, message: Any) -> Any:
        return c104.ResponseState.SUCCESS

    # The stack looks at the types of what it calls back.
    kinds = {"point": c104.Point, "previous_info": c104.Information, "message": c104.IncomingMessage}
    accept.__annotations__ = {**kinds, "return": c104.ResponseState}
    port = free_port()
    server = c104.Server(ip=HOST, port=port)
    station = server.add_station(common_address=47)
    level = station.add_point(io_address=11, type=c104.Type.M_ME_NC_1)
    level.value = 4.5
    for number, kind in ((12, c104.Type.C_SC_NA_1), (13, c104.Type.C_SE_NC_1)):
        station.add_point(io_address=number, type=kind).on_receive(callable=accept)
    station.get_point(io_address=12).command_mode = c104.CommandMode.SELECT_AND_EXECUTE
    server.start()
    until("the server listens", lambda: listens(port), 30)
    client = c104.Client()
    try:
        with wire(port, 2404) as between:
            connection = client.add_connection(ip=HOST, port=between.port, init=c104.Init.ALL)
            seen = connection.add_station(common_address=47)
            value = seen.add_point(io_address=11, type=c104.Type.M_ME_NC_1)
            switch = seen.add_point(io_address=12, type=c104.Type.C_SC_NA_1)
            switch.command_mode = c104.CommandMode.SELECT_AND_EXECUTE
            setpoint = seen.add_point(io_address=13, type=c104.Type.C_SE_NC_1)
            client.start()
            until("the value is read", lambda: connection.is_connected and value.read() and value.value == 4.5, 30)
            switch.value, setpoint.value = True, 7.25
            assert switch.transmit(cause=c104.Cot.ACTIVATION)
            assert setpoint.transmit(cause=c104.Cot.ACTIVATION)
            level.value = 5.5
            assert level.transmit(cause=c104.Cot.SPONTANEOUS)
            until("the new value has come", lambda: value.value == 5.5, 30)
            client.stop()
    finally:
        server.stop()
    found = records(between, Protocol.IEC104)
    assert {r.unit for r in found.records if r.func == 13} == {47}
    values = [(p.addr, p.value) for r in found.records if r.func == 13 for p in r.points]
    assert (values[0], values[-1]) == ((11, 4.5), (11, 5.5))
    ordered = [(r.op, r.addr, r.values) for r in found.of(Kind.REQUEST) if r.addr in (12, 13)]
    assert ordered == [(Op.SELECT, 12, [1.0]), (Op.CONTROL, 12, [1.0]), (Op.WRITE, 13, [7.25])]
    answers = [r for r in found.of(Kind.RESPONSE) if r.addr in (12, 13)]
    assert {(r.addr, r.match, r.status) for r in answers} == {(n, Match.MATCHED, 0) for n in (12, 13)}


def test_bacnet() -> None:
    from bacpypes3.apdu import ErrorRejectAbortNack
    from bacpypes3.ipv4.app import NormalApplication
    from bacpypes3.local.analog import AnalogValueObject
    from bacpypes3.local.device import DeviceObject
    from bacpypes3.pdu import Address, IPv4Address
    from bacpypes3.primitivedata import ObjectIdentifier, Real

    setpoint = ObjectIdentifier("analog-value,3")

    async def talk() -> tuple[Wire, float]:
        ports = free_port(), free_port()
        server, client = (
            NormalApplication(
                DeviceObject(objectIdentifier=("device", port), objectName=f"d{port}", vendorIdentifier=999),
                IPv4Address(f"{HOST}/32:{port}"),
            )
            for port in ports
        )
        server.add_object(
            AnalogValueObject(
                objectIdentifier=("analog-value", 3),
                objectName="setpoint",
                presentValue=21.5,
                eventState="normal",
                statusFlags=[0, 0, 0, 0],
                outOfService=False,
                units="degreesCelsius",
                covIncrement=0.5,
            )
        )
        with wire(ports[0], 47808, socket.SOCK_DGRAM) as between:
            to = Address(f"{HOST}:{between.port}")
            before = float(await client.read_property(to, setpoint, "present-value"))
            await client.write_property(to, setpoint, "present-value", Real(25.25), priority=8)
            await client.read_property_multiple(to, ["analog-value,3", ["present-value", "object-name", "units"]])
            with pytest.raises(ErrorRejectAbortNack, match="unknown-object"):
                await client.read_property(to, ObjectIdentifier("analog-value,9"), "present-value")
        server.close()
        client.close()
        return between, before

    between, before = asyncio.run(asyncio.wait_for(talk(), 60))
    found = records(between, Protocol.BACNET)
    place = 2 << 22 | 3
    assert all(r.match == Match.MATCHED for r in found.of(Kind.RESPONSE))
    present = [(r.op, p.addr, p.value) for r in found.records for p in r.points if p.addr_sub == 85]
    assert present == [(Op.READ, place, before), (Op.WRITE, place, 25.25), (Op.READ, place, 25.25)]
    (name,) = (found.names[p.raw % (1 << 64)] for r in found.records for p in r.points if p.type == PointType.TEXT)
    assert name == "setpoint"
    assert [bool(r.status) for r in found.of(Kind.RESPONSE)] == [False, False, False, True]


def test_enip() -> None:
    from cpppo.server.enip import client
    from pycomm3 import CIPDriver, ClassCode, Services

    port = free_port()
    command = [sys.executable, "-m", "cpppo.server.enip", "--address", f"{HOST}:{port}", "Level=REAL[4]", "Count=DINT"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("the server listens", lambda: listens(port), 60)
        with wire(port, 44818) as between:
            with CIPDriver(f"{HOST}:{between.port}") as driver:
                told = driver.generic_message(
                    service=Services.get_attributes_all,
                    class_code=ClassCode.identity_object,
                    instance=1,
                    connected=False,
                )
            wanted = ["Level[1-2]=(REAL)4.5,5.5", "Level[0-3]", "Count=(DINT)7", "Count"]
            with client.connector(host=HOST, port=between.port, timeout=10) as connection:
                operations = client.parse_operations(wanted)
                said = [value for *_, value in connection.synchronous(operations=operations)]
    finally:
        server.terminate()
        server.wait()
    found = records(between, Protocol.ENIP)
    assert said == [True, [0.0, 4.5, 5.5, 0.0], True, [7]]
    tags = [
        (r.op, r.match, found.names[r.points[0].name_id], [p.addr for p in r.points], r.values)
        for r in found.records
        if r.points and r.points[0].space == Space.CIP_SYMBOL
    ]
    assert tags == [
        (Op.WRITE, Match.PENDING, "Level", [1, 2], [4.5, 5.5]),
        (Op.READ, Match.MATCHED, "Level", [0, 1, 2, 3], said[1]),
        (Op.WRITE, Match.PENDING, "Count", [0], [7.0]),
        (Op.READ, Match.MATCHED, "Count", [0], [7.0]),
    ]
    names = [found.names[p.raw % (1 << 64)] for r in found.records for p in r.points if p.type == PointType.TEXT]
    assert names
    assert all(name.encode() in told.value for name in names)
