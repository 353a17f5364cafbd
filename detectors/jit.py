"""kernel(): how every kernel is compiled, and where its machine code is kept.  The only importer of numba.

numba's own disk cache stamps the file of a function, not the files of what it calls, and ignores the bounds-check
flag: an edited helper, or a checked run after an unchecked one, would get the old machine code.  So the cache
*directory* is named by a digest of every kernel source, the versions, the CPU and the flags.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

_ROOT = Path(__file__).resolve().parent.parent
KERNEL_SOURCES = (
    "detectors/jit.py",
    "detectors/columns.py",
    "detectors/kernels/*.py",
    "pipeline/*/kernels.py",
    "pipeline/decode/*.py",
    "pipeline/decode/protocols/*.py",
    "detectors/kinds.py",
    "schemas/codes.py",
    "schemas/flags.py",
)
"""Every file that may define a kernel, or a number that kernels take in; a test holds this against the code."""


def _sources() -> list[Path]:
    return sorted(path for pattern in KERNEL_SOURCES for path in _ROOT.glob(pattern))


def _cache_root() -> Path:
    base = os.environ.get("FIELDTAP_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "fieldtap" / "kernels"


def cache_dir() -> Path:
    """The directory for the machine code of exactly these sources, versions, CPU and flags."""
    import llvmlite
    from llvmlite import binding
    from numba import __version__ as numba_version

    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    flags = sorted(f"{k}={v}" for k, v in os.environ.items() if k.startswith("NUMBA_") and k != "NUMBA_CACHE_DIR")
    cpu = binding.get_host_cpu_name() + binding.get_host_cpu_features().flatten()
    for part in (numba_version, llvmlite.__version__, sys.version, cpu, *flags):
        digest.update(part.encode())
    return _cache_root() / digest.hexdigest()[:24]


def _use_cache() -> bool:
    """Point numba at our directory; without a writable one, kernels are compiled anew in each process."""
    try:
        directory = cache_dir()
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    if not os.access(directory, os.W_OK):
        return False
    _config().CACHE_DIR = str(directory)
    return True


i64: Callable[[Any], int] = cast("Callable[[Any], int]", np.int64)
"""Widen a number to int64 in a kernel."""


def _config() -> Any:
    """numba's configuration, whose attributes are made at run time."""
    from numba import config

    return config


_cached: bool | None = None


def is_warm() -> bool:
    """Whether machine code for these sources lies in the cache, so that no first compile is ahead."""
    try:
        return any(cache_dir().rglob("*.nbc"))
    except OSError:
        return False


def is_cached() -> bool:
    """Whether kernels are compiled, and kept for other processes."""
    global _cached
    if _cached is None:
        _cached = _use_cache()
    return _cached and not _config().DISABLE_JIT


def compile_for(function: Any, *arguments: Any) -> None:
    """Compile a kernel for arguments of such types, without calling it."""
    from numba import typeof
    from numba.core import types

    kind: Callable[[Any], Any] = typeof
    widen: Callable[[Any], Any] = types.unliteral
    function.compile(tuple(widen(kind(a)) for a in arguments))


def kernel(signature: Any = None, *, inline: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function of arrays and scalars: nogil, cached, no fastmath, no parallel, no reference counting.

    Kernels allocate nothing, so numba's reference counting is off: with it, each array that is handed from kernel to
    kernel costs two atomic operations, more than the work itself.

    Args:
        signature: numba signature for kernels that are reached by function pointer; None compiles at first call.
        inline: let LLVM inline it wherever it is called.
    """
    from numba import njit

    is_cached()
    options: dict[str, Any] = {"nogil": True, "cache": _cached, "error_model": "python", "_nrt": False}
    if inline:
        options["forceinline"] = True

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        compiled: Callable[P, R] = njit(signature, **options)(function) if signature else njit(**options)(function)
        _widen_constants(compiled)
        return compiled

    return wrap


def _widen_constants(compiled: Any) -> None:
    """Let calls with constants in their arguments share one version of a kernel.

    numba makes a type of each constant, and compiles a callee anew for each: what a constant is worth to the code, LLVM
    finds out itself where it inlines.
    """
    from numba.core import types

    plain = getattr(compiled, "get_call_template", None)
    if plain is not None:  # without JIT there is none
        widen: Callable[[Any], Any] = types.unliteral
        compiled.get_call_template = lambda args, kws: plain(
            [widen(a) for a in args], {name: widen(a) for name, a in kws.items()}
        )


def is_checked() -> bool:
    """Whether indices are to be checked, or nothing compiled: then loads are made of plain indexing."""
    return bool(_config().DISABLE_JIT or _config().BOUNDSCHECK)


def unaligned_load(bits: int, *, big_endian: bool) -> Callable[[Any, int], int]:
    """A kernel-callable load of an unsigned number of `bits` at a byte offset of a uint8 array, as int64.

    One machine load, where numba's indexing makes one per byte with a test for a negative index each.  It checks
    nothing: see `is_checked`.
    """
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def load(typing_context: Any, data: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            address = builder.gep(array.data, [args[1]])
            number = ir.IntType(bits)
            value = builder.load(builder.bitcast(address, number.as_pointer()), align=1)
            if big_endian and bits > 8:
                value = builder.bswap(value)
            return builder.zext(value, ir.IntType(64)) if bits < 64 else value

        return types.int64(data, types.int64), generate

    return cast("Callable[[Any, int], int]", load)


LANES = 8
"""Elements that a wide store writes at once."""


def wide_stores() -> tuple[Callable[..., int], Callable[..., int], Callable[..., int]]:
    """Kernel-callable stores of eight neighbouring elements; like `unaligned_load`, they check nothing.

    Returns:
        fill(array, at, value): the low bits of `value` into array[at:at + 8], an array of integers;
        ramp(array, at, first, step): first, first + step … into array[at:at + 8] of int64;
        widen(data, at, array, place): the eight big-endian 16-bit numbers at data[at:at + 16] as float64 into
        array[place:place + 8].
    """
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    def place(context: Any, builder: Any, kind: Any, array: Any, at: Any, vector: Any) -> Any:
        address = builder.gep(context.make_array(kind)(context, builder, array).data, [at])
        return builder.bitcast(address, vector.as_pointer())

    def all_lanes(builder: Any, value: Any) -> Any:
        none = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
        lane = ir.IntType(32)
        first = builder.insert_element(none, value, lane(0))
        return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(lane, LANES), [lane(0)] * LANES))

    @intrinsic
    def fill(typing_context: Any, array: Any, at: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            element = ir.IntType(array.dtype.bitwidth)
            low = builder.trunc(args[2], element) if element.width < 64 else args[2]
            vector = all_lanes(builder, low)
            builder.store(vector, place(context, builder, array, args[0], args[1], vector.type), align=1)
            return ir.IntType(64)(0)

        return types.int64(array, types.int64, types.int64), generate

    @intrinsic
    def ramp(typing_context: Any, array: Any, at: Any, first: Any, step: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            count = ir.Constant(ir.VectorType(word, LANES), [word(i) for i in range(LANES)])
            vector = builder.add(all_lanes(builder, args[2]), builder.mul(all_lanes(builder, args[3]), count))
            builder.store(vector, place(context, builder, array, args[0], args[1], vector.type), align=1)
            return word(0)

        return types.int64(array, types.int64, types.int64, types.int64), generate

    @intrinsic
    def widen(typing_context: Any, data: Any, at: Any, array: Any, to: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            half = ir.VectorType(ir.IntType(16), LANES)
            eight = ir.Constant(half, [ir.IntType(16)(8)] * LANES)
            read = builder.load(place(context, builder, data, args[0], args[1], half), align=1)
            numbers = builder.or_(builder.shl(read, eight), builder.lshr(read, eight))
            values = builder.uitofp(numbers, ir.VectorType(ir.DoubleType(), LANES))
            builder.store(values, place(context, builder, array, args[2], args[3], values.type), align=1)
            return ir.IntType(64)(0)

        return types.int64(data, types.int64, array, types.int64), generate

    return (
        cast("Callable[..., int]", fill),
        cast("Callable[..., int]", ramp),
        cast("Callable[..., int]", widen),
    )


def address_of(function: Any) -> int:
    """Address of a kernel that was compiled with an explicit signature, for `indirect_call`.

    Without JIT there is none: the function itself is registered, and its number in the register returned.
    """
    if _config().DISABLE_JIT:
        _register.append(function)
        return len(_register) - 1
    compiled = function.overloads[function.signatures[0]]
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    _kept.append(compiled)
    return address


_register: list[Callable[..., int]] = []
_kept: list[Any] = []  # machine code lives as long as its owner does


def indirect_call() -> Callable[..., int]:
    """A kernel-callable call of a kernel by its address: call(address, data, at, end, work) -> int64.

    numba's own function objects do the same, but cost a millisecond at each entry from Python, and name the callee in
    the type, so that the disk cache cannot serve a caller with another callee.  Of an array, address and length are
    handed on and the rest is written as constants: seven words for each, loaded and stored again, are most of a call.
    """
    if _config().DISABLE_JIT:
        return lambda address, *args: _register[address](*args)
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic
    from numba.np.arrayobj import populate_array

    def bare(context: Any, builder: Any, kind: Any, array: Any) -> Any:
        """The array without owner."""
        whole = context.make_array(kind)(context, builder, array)
        width = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
        slim = context.make_array(kind)(context, builder)
        stride = cgutils.pack_array(builder, [width])  # type: ignore[no-untyped-call]
        populate_array(slim, whole.data, whole.shape, stride, width, None)  # type: ignore[no-untyped-call]
        return slim._getvalue()

    @intrinsic
    def call(typing_context: Any, address: Any, data: Any, at: Any, end: Any, work: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args[1:]
            function_type = context.call_conv.get_function_type(types.int64, kinds)
            pointer = builder.inttoptr(args[0], ir.PointerType(function_type))
            given = [
                bare(context, builder, kind, value) if isinstance(kind, types.Array) else value
                for kind, value in zip(kinds, args[1:], strict=True)
            ]
            status, result = context.call_conv.call_function(builder, pointer, types.int64, kinds, given)
            with cgutils.if_unlikely(builder, status.is_error):  # type: ignore[no-untyped-call]
                context.call_conv.return_status_propagate(builder, status)
            return result

        return types.int64(types.int64, data, types.int64, types.int64, work), generate

    return cast("Callable[..., int]", call)
