"""Just enough of protobuf's wire format to write requests and read gRPC messages by hand.

So the tests check the bytes of the contract, not what a generated class makes of them.
"""


def varint(number):
    """A base-128 number, also a negative 64-bit one."""
    number &= (1 << 64) - 1
    groups = []
    while True:
        number, group = number >> 7, number & 0x7F
        groups.append(group | (0x80 if number else 0))
        if not number:
            return bytes(groups)


def zigzag(number):
    """A `sint64` as the number that is written."""
    return (number << 1) ^ (number >> 63)


def field(number, value):
    """One field: an int as a varint, text or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(message):
    """The (number, value) pairs of a message; lengths and varints only."""
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        if tag & 7 == 0:
            value, position = read_varint(message, position)
        elif tag & 7 == 2:
            length, position = read_varint(message, position)
            value, position = message[position : position + length], position + length
        else:
            raise ValueError(f"wire type {tag & 7} of field {tag >> 3} is not read here")
        yield tag >> 3, value


def read_varint(message, position):
    """A base-128 number and the place after it."""
    number = shift = 0
    while True:
        byte = message[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position
