"""The opcodes of pickle protocols 0 to 5: containers, the memo, names, and the table of all.

Source: the comments of ``pickletools`` in Python's standard library. Opcodes that only code needs (persistent ids,
extension codes, class instances, out-of-band buffers) are refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder import pickle_leaves as leaf
from gradtui.folder.pickle_machine import Machine, Refused, broken
from gradtui.folder.pickle_names import build, find_name, reduce
from gradtui.folder.pickle_plain import check_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from gradtui.folder.pickle_leaves import Handler

_LONGEST_NAME = 400


def _mark(machine: Machine, position: int) -> int:
    machine.spend(100)
    machine.marks.append(machine.stack)
    machine.stack = []
    return position


def _empty(make: Callable[[], object], cost: int) -> Handler:
    def read(machine: Machine, position: int) -> int:
        machine.spend(cost)
        machine.stack.append(make())
        return position

    return read


def _tuple_of(count: int) -> Handler:
    def read(machine: Machine, position: int) -> int:
        machine.spend(56 + 8 * count)
        stack = machine.stack
        if len(stack) < count:
            broken("a tuple of what is not there")
        stack[-count:] = [tuple(stack[-count:])]
        return position

    return read


def _from_mark(make: Callable[[list[object]], object], cost: int, each: int) -> Handler:
    def read(machine: Machine, position: int) -> int:
        items = machine.pop_mark()
        machine.spend(cost + each * len(items))
        machine.stack.append(make(items))
        return position

    return read


def _dict_of(items: list[object]) -> dict[object, object]:
    result: dict[object, object] = {}
    _set_items(result, items)
    return result


def _frozenset_of(items: list[object]) -> frozenset[object]:
    for item in items:
        check_key(item)
    return frozenset(items)


def _set_items(target: object, items: list[object]) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        broken("a dict entry without a dict")
    for place in range(0, len(items), 2):
        check_key(items[place])
        target[items[place]] = items[place + 1]


def _append(machine: Machine, position: int) -> int:
    item = machine.stack.pop()
    target = machine.stack[-1]
    if not isinstance(target, list):
        broken("an item without a list")
    target.append(item)
    return position


def _appends(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    target = machine.stack[-1]
    if not isinstance(target, list):
        broken("items without a list")
    target.extend(items)
    return position


def _set_item(machine: Machine, position: int) -> int:
    machine.spend(110)
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_items(machine.stack[-1], [key, value])
    return position


def _set_many(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    machine.spend(55 * len(items))
    _set_items(machine.stack[-1], items)
    return position


def _add_items(machine: Machine, position: int) -> int:
    items = machine.pop_mark()
    machine.spend(110 * len(items))
    target = machine.stack[-1]
    if not isinstance(target, set):
        broken("members without a set")
    for item in items:
        check_key(item)
        target.add(item)
    return position


def _pop(machine: Machine, position: int) -> int:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()
    return position


def _pop_mark(machine: Machine, position: int) -> int:
    machine.pop_mark()
    return position


def _dup(machine: Machine, position: int) -> int:
    machine.spend(9)
    machine.stack.append(machine.stack[-1])
    return position


def _get(machine: Machine, position: int) -> int:
    text, end = leaf.number_line(machine, position)
    machine.recall(int(text, 10))
    return end


def _put(machine: Machine, position: int) -> int:
    text, end = leaf.number_line(machine, position)
    index = int(text, 10)
    if index < 0:
        broken("a negative memo")
    machine.remember(index)
    return end


def _short_get(machine: Machine, position: int) -> int:
    machine.need(position, 1)
    machine.recall(machine.data[position])
    return position + 1


def _short_put(machine: Machine, position: int) -> int:
    machine.need(position, 1)
    machine.remember(machine.data[position])
    return position + 1


def _bin_get(width: int) -> Handler:
    def read(machine: Machine, position: int) -> int:
        machine.recall(machine.number(position, width))
        return position + width

    return read


def _bin_put(width: int) -> Handler:
    def read(machine: Machine, position: int) -> int:
        machine.remember(machine.number(position, width))
        return position + width

    return read


def _memoize(machine: Machine, position: int) -> int:
    machine.remember(len(machine.memo) + len(machine.far))
    return position


def _global(machine: Machine, position: int) -> int:
    module, middle = leaf.line(machine, position, _LONGEST_NAME)
    name, end = leaf.line(machine, middle, _LONGEST_NAME)
    machine.spend(9)
    machine.stack.append(find_name(str(module, "utf-8"), str(name, "utf-8")))
    return end


def _stack_global(machine: Machine, position: int) -> int:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(find_name(module, name))
    return position


def _reduce(machine: Machine, position: int) -> int:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(reduce(machine, function, arguments))
    return position


def _build(machine: Machine, position: int) -> int:
    state = machine.stack.pop()
    build(machine, machine.stack[-1], state)
    return position


def _protocol(machine: Machine, position: int) -> int:
    version = machine.number(position, 1)
    if version > 5:
        raise Refused(f"pickle protocol {version} is not read (0 to 5 are)")
    return position + 1


def _frame(machine: Machine, position: int) -> int:
    machine.need(position + 8, machine.number(position, 8))
    return position + 8


def _refuse(what: str) -> Handler:
    def read(_machine: Machine, _position: int) -> NoReturn:
        raise Refused(f"{what}, which is code and not data")

    return read


HANDLERS: dict[int, Handler] = {
    ord(code): handler
    for code, handler in {
        "I": leaf.integer, "L": leaf.long_integer, "F": leaf.text_float, "S": leaf.string, "V": leaf.unicode_line,
        "J": leaf.bin_int, "K": leaf.byte, "M": leaf.unsigned(2), "G": leaf.bin_float,
        "\x8a": leaf.sized_long(1), "\x8b": leaf.sized_long(4),
        "T": leaf.sized_text(4, "latin-1"), "U": leaf.sized_text(1, "latin-1"),
        "X": leaf.sized_text(4, "utf-8"), "\x8c": leaf.sized_text(1, "utf-8"), "\x8d": leaf.sized_text(8, "utf-8"),
        "B": leaf.sized_bytes(4, "bytes"), "C": leaf.sized_bytes(1, "bytes"), "\x8e": leaf.sized_bytes(8, "bytes"),
        "\x96": leaf.sized_bytes(8, "bytearray"),
        "N": leaf.constant(None), "\x88": leaf.constant(True), "\x89": leaf.constant(False), ")": leaf.constant(()),
        "]": _empty(list, 110), "}": _empty(dict, 260), "\x8f": _empty(set, 240),
        "(": _mark, "0": _pop, "1": _pop_mark, "2": _dup,
        "t": _from_mark(tuple, 56, 8), "l": _from_mark(list, 72, 0), "d": _from_mark(_dict_of, 260, 55),
        "\x91": _from_mark(_frozenset_of, 240, 110),
        "\x85": _tuple_of(1), "\x86": _tuple_of(2), "\x87": _tuple_of(3),
        "a": _append, "e": _appends, "s": _set_item, "u": _set_many, "\x90": _add_items,
        "g": _get, "h": _short_get, "j": _bin_get(4),
        "p": _put, "q": _short_put, "r": _bin_put(4), "\x94": _memoize,
        "c": _global, "\x93": _stack_global, "R": _reduce, "b": _build,
        "\x80": _protocol, "\x95": _frame,
        "P": _refuse("refers to a persistent object"), "Q": _refuse("refers to a persistent object"),
        "i": _refuse("makes an instance"), "o": _refuse("makes an instance"),
        "\x81": _refuse("makes an instance"), "\x92": _refuse("makes an instance"),
        "\x82": _refuse("uses an extension code"), "\x83": _refuse("uses an extension code"),
        "\x84": _refuse("uses an extension code"),
        "\x97": _refuse("needs buffers from outside the file"), "\x98": _refuse("needs buffers from outside the file"),
    }.items()
}  # fmt: skip
