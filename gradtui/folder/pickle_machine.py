"""What the pickle reader works on: the bytes, the stack, the memo, and how much may still be spent.

Every opcode of the reader is a function of a `Machine` and a position. Limits are counted before memory is taken, so
that a small file cannot ask for much: neither by claims of length nor by a million empty sets.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.errors import InvalidContents
from gradtui.folder.reading import EndsEarly

if TYPE_CHECKING:
    from typing import NoReturn


class Refused(InvalidContents):
    """The bytes are not data that is read here; the text is one line."""


class Truncated(Refused, EndsEarly):
    """The bytes end too early: a writer may still be at work."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one reading.

    Attributes:
        opcodes: Steps of the interpreter; a million take about half a second.
        seconds: Processor time of the interpreter, for machines that are slower than that.
        memory: Bytes of Python objects beyond one times the file.
        nodes: Values after shared references are counted each time they are met.
        depth: Containers within containers.
        arrays: Arrays, scalars and dtypes, which take longer than other values.
        encoded: Bytes of arrays that stand in the file as text (protocols 0 to 2).
    """

    opcodes: int = 1_000_000
    seconds: float = 1.4
    memory: int = 28_000_000
    nodes: int = 2_000_000
    depth: int = 40
    arrays: int = 50_000
    encoded: int = 128_000_000


class Raw:
    """Bytes of the file that stand for a large text or bytes object, not yet copied.

    ``kind`` is ``bytes``, ``bytearray``, ``utf-8`` (text), ``escape`` (text of protocol 0) or ``latin-1`` (text of
    Python 2).
    """

    __slots__ = ("encoded", "kind", "view")

    def __init__(self, view: memoryview, kind: str) -> None:
        self.view = view
        self.kind = kind
        self.encoded: bytes | bytearray | None = None


class Promise:
    """An array or dtype that the next BUILD completes; whoever refers to it before then sees the value later."""

    __slots__ = ("code", "value")

    def __init__(self, code: str) -> None:
        self.code: Final = code
        self.value: object = None


class Machine:
    """One reading of one pickle."""

    __slots__ = (
        "arrays",
        "data",
        "encoded",
        "far",
        "left",
        "limits",
        "marks",
        "memo",
        "opcodes",
        "size",
        "stack",
    )

    def __init__(self, data: memoryview, limits: Limits) -> None:
        self.data = data
        self.size = len(data)
        self.limits = limits
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        # Real writers number the memo from 0; an index that is far away goes into a dict.
        self.memo: list[object] = []
        self.far: dict[int, object] = {}
        self.left = limits.memory + self.size
        self.opcodes = limits.opcodes
        self.arrays = limits.arrays
        self.encoded = limits.encoded

    def spend(self, count: int) -> None:
        """Count memory that is about to be taken.

        Raises:
            Refused: The allowance is used up.
        """
        self.left -= count
        if self.left < 0:
            raise Refused("too many Python objects for its size; save arrays instead of lists")

    def spend_array(self) -> None:
        """Count an array, scalar or dtype: its objects, and the time that it takes.

        Raises:
            Refused: There are too many.
        """
        self.spend(600)
        self.arrays -= 1
        if self.arrays < 0:
            raise Refused(f"more than {self.limits.arrays} arrays and scalars")

    def spend_object(self, value: object) -> None:
        """Count a text, number or bytes object and the reference to it."""
        self.spend(sys.getsizeof(value) + 9)

    def need(self, position: int, count: int) -> int:
        """The position after ``count`` bytes.

        Raises:
            Truncated: They are not there.
        """
        end = position + count
        if end > self.size:
            raise Truncated(f"truncated at byte {self.size}")
        return end

    def number(self, position: int, count: int) -> int:
        """An unsigned little-endian number of ``count`` bytes."""
        if count == 1 and position < self.size:
            return self.data[position]
        return int.from_bytes(self.data[position : self.need(position, count)], "little")

    def pop_mark(self) -> list[object]:
        """Everything above the last mark."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def remember(self, index: int) -> None:
        """Put the top of the stack into the memo."""
        value = self.stack[-1]
        if index == len(self.memo):
            self.spend(9)
            self.memo.append(value)
        elif index < len(self.memo):
            self.memo[index] = value
        else:
            self.spend(180)
            self.far[index] = value

    def recall(self, index: int) -> None:
        """Push what the memo has under an index.

        Raises:
            Refused: It has nothing there.
        """
        self.spend(9)
        if 0 <= index < len(self.memo):
            self.stack.append(self.memo[index])
        elif index in self.far:
            self.stack.append(self.far[index])
        else:
            broken(f"memo {index if abs(index) < 1 << 40 else '?'} is empty")


def broken(what: str) -> NoReturn:
    """Refuse bytes that no pickler writes."""
    raise Refused(f"not a pickle: {what}")
