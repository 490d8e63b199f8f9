"""Seeded damage to the bytes of files: what disks, copies and people do to them, and what a fuzzer would."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

# Opcodes and claims of length that lead a reader of pickles far astray when they stand where others did.
TOKENS = (
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x96\xff\xff\xff\xff\x00\x00\x00\x00", b"X\xff\xff\xff\x7f", b"T\xff\xff\xff\x7f",
    b"cos\nsystem\n", b"\x93", b"\x8c\x02os\x8c\x06system\x93", b"R", b"\x81", b"\x92", b"b", b"i", b"o", b"t", b"(", b")", b"]",
    b"}", b"\x8f", b"2\x86", b"0", b"1", b"2", b"a", b"e", b"s", b"u", b"\x90", b"\x91", b"\x94", b"h\x00", b"j\x00\x00\x00\x01",
    b"q\x00", b"r\xff\xff\xff\x7f", b"\x85", b"\x86", b"\x87", b"N", b"\x88", b"K\xff", b"M\xff\xff", b"J\xff\xff\xff\xff",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\x97", b"\x98", b".", b"\x80\x05", b"\x95",
    b"(1000000000000, 4)", b"-1", b"'O'", b"'<c8'", b"9" * 40, b"\n", b"{", b"\xff" * 9, b"\x00" * 9, b"<f8", b"|O8", b"V8",
)  # fmt: skip


def mutated(data: bytes, others: Sequence[bytes], random: random.Random) -> bytes:
    """Return damaged bytes: bits flipped, bytes changed, cut, doubled, moved, spliced with another file's, or overwritten
    with what means something to a reader."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        kind = random.randrange(9)
        at = random.randrange(len(out) + 1)
        # Most of a file is numbers, and any number will do: damage the structure, which stands at its ends.
        if random.random() < 0.6:
            at = min(at, len(out), random.randrange(1, 200))
            at = at if random.random() < 0.7 else len(out) - at
        length = random.choice((1, 1, 2, 4, 8, 16, 100))
        if kind == 0 and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        elif kind == 2:
            del out[at:]
        elif kind == 3:
            del out[at : at + length]
        elif kind == 4:
            out[at:at] = out[at : at + length] * random.choice((1, 2, 50))
        elif kind == 5:
            there = random.randrange(len(out) + 1)
            out[at : at + length] = out[there : there + length]
        elif kind == 6:
            other = random.choice(others)
            there = random.randrange(len(other) + 1)
            out[at:] = other[there:]
        else:
            token = random.choice(TOKENS)
            out[at : at + (len(token) if kind == 7 else 0)] = token
    return bytes(out)
