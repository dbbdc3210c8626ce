"""Asking for memory before it is read: a look-up in a large table waits for nothing then."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["prefetch"]


def _type_prefetch(typing_context: Any, array: Any, place: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        struct = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(struct.data, [arguments[1]])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        for_reading, keep, data = number(0), number(3), number(1)
        builder.call(function, [builder.bitcast(address, byte), for_reading, keep, data])
        return context.get_dummy_value()

    return types.void(array, place), emit


# Begin to load the element at a place (int64 or uint64) of an array, which will be wanted soon.
prefetch: Any = intrinsic(_type_prefetch)
