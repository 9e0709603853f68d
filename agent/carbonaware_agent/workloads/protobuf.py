"""Reads protobuf messages field by field, as far as kubelet's answers need it.

The protobuf runtime would need generated classes and several megabytes for one small message.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_LENGTHS = {_FIXED64: 8, _FIXED32: 4}
# 64 bits in groups of seven.
_LONGEST_VARINT = 10


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The number and content of each field with a length: text, bytes and messages.

    Numbers are passed over. Raises ValueError: this is not a protobuf message.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _varint(message, position)
            continue
        length = _FIXED_LENGTHS.get(kind)
        if kind == _BYTES:
            length, position = _varint(message, position)
        if length is None or position + length > len(message):
            raise ValueError(f"a field of kind {kind} ends beyond its message")
        if kind == _BYTES:
            yield tag >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(message[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise ValueError("a number without an end")
