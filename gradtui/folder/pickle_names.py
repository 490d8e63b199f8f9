"""The globals that real files hold, each with what it means here; every other name is refused.

Nothing is imported and nothing of the file is called: a name becomes a `Name`, and REDUCE and BUILD know what to do
with each. The list is what 630 pickles of numpy 1.19 to 2.4, protocols 0 to 5, hold.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from gradtui.folder.pickle_arrays import (
    build_array,
    build_dtype,
    dtype_promise,
    encode_text,
    from_buffer,
    scalar,
)
from gradtui.folder.pickle_machine import Promise, Raw, Refused, broken
from gradtui.folder.pickle_plain import check_key

if TYPE_CHECKING:
    from gradtui.folder.pickle_machine import Machine


class Name(enum.Enum):
    """A global that is known."""

    RECONSTRUCT = enum.auto()
    SCALAR = enum.auto()
    FROM_BUFFER = enum.auto()
    NDARRAY = enum.auto()
    DTYPE = enum.auto()
    ENCODE = enum.auto()
    BYTES = enum.auto()
    DICT = enum.auto()
    LIST = enum.auto()
    SET = enum.auto()
    FROZENSET = enum.auto()
    BYTEARRAY = enum.auto()
    DEFAULTDICT = enum.auto()


_KNOWN: dict[tuple[str, str], Name] = {
    ("numpy", "ndarray"): Name.NDARRAY,
    ("numpy", "dtype"): Name.DTYPE,
    ("_codecs", "encode"): Name.ENCODE,
    ("collections", "OrderedDict"): Name.DICT,
    ("collections", "defaultdict"): Name.DEFAULTDICT,
}
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[_core + ".multiarray", "_reconstruct"] = Name.RECONSTRUCT
    _KNOWN[_core + ".multiarray", "scalar"] = Name.SCALAR
    _KNOWN[_core + ".numeric", "_frombuffer"] = Name.FROM_BUFFER
for _builtins in ("builtins", "__builtin__"):
    for _name in ("bytes", "dict", "list", "set", "frozenset", "bytearray"):
        _KNOWN[_builtins, _name] = Name[_name.upper()]


def find_name(module: object, name: object) -> Name:
    """What a global means.

    Raises:
        Refused: It is not on the list; the message says what to do for a torch tensor.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        broken("a global without a name")
    found = _KNOWN.get((module, name))
    if found is not None:
        return found
    if module == "torch" or module.startswith("torch."):
        raise Refused("holds a torch tensor; save tensor.detach().cpu().numpy() instead")
    raise Refused(f"names {_printable(module)}.{_printable(name)}, which is code and not data")


def reduce(machine: Machine, function: object, arguments: object) -> object:
    """What a REDUCE makes: a container, bytes, an array, or the promise of one.

    Raises:
        Refused: The arguments are not those that a pickler writes.
    """
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        broken("a call of what is not a function")
    machine.spend(100)
    if function is Name.RECONSTRUCT:
        if not arguments or arguments[0] is not Name.NDARRAY:
            broken("an array of another type")
        return Promise("array")
    if function is Name.DTYPE:
        return dtype_promise(machine, arguments)
    if function is Name.FROM_BUFFER:
        return from_buffer(machine, arguments)
    if function is Name.SCALAR:
        return scalar(machine, arguments)
    if function is Name.ENCODE:
        return encode_text(machine, arguments)
    if function is Name.NDARRAY:
        raise Refused("makes an array without data")
    return _container(machine, function, arguments)


def build(machine: Machine, value: object, state: object) -> None:
    """Give an array or dtype its state.

    Raises:
        Refused: Anything else has no state that is data.
    """
    if not isinstance(value, Promise):
        raise Refused("sets the state of an object, which is code and not data")
    if value.code == "dtype":
        build_dtype(value, state)
    else:
        build_array(machine, value, state)


def _container(machine: Machine, function: Name, arguments: tuple[object, ...]) -> object:
    if function is Name.DEFAULTDICT:
        if len(arguments) > 1 or (arguments and not isinstance(arguments[0], (Name, type(None)))):
            broken("a defaultdict with contents")
        return {}
    if len(arguments) > 2 or (len(arguments) == 2 and function is not Name.BYTEARRAY):
        broken("a container with too many arguments")
    content: object = arguments[0] if arguments else ()
    if function in (Name.BYTES, Name.BYTEARRAY):
        return _bytes(machine, function, arguments)
    if not isinstance(content, (list, tuple)):
        broken("a container of something else than a list")
    machine.spend(120 * len(content))
    if function is Name.LIST:
        return list(content)
    if function is Name.DICT:
        result: dict[object, object] = {}
        for pair in content:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                broken("a dict of something else than pairs")
            check_key(pair[0])
            result[pair[0]] = pair[1]
        return result
    for item in content:
        check_key(item)
    return set(content) if function is Name.SET else frozenset(content)


def _bytes(machine: Machine, function: Name, arguments: tuple[object, ...]) -> object:
    if not arguments:
        return b"" if function is Name.BYTES else bytearray()
    content = encode_text(machine, arguments) if len(arguments) == 2 else arguments[0]
    if isinstance(content, Raw) and content.kind in ("bytes", "bytearray"):
        machine.spend(2 * len(content.view))
        return bytearray(content.view)
    if not isinstance(content, (bytes, bytearray)):
        broken("bytes of something else")
    machine.spend(2 * len(content))
    return bytes(content) if function is Name.BYTES else bytearray(content)


def _printable(text: str) -> str:
    return ascii(text[:60])[1:-1]
