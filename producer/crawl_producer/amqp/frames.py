"""Frames as they come, whatever strangers have put into the headers of their messages.

pika decodes the properties of a message before anybody sees it, and what it cannot decode (a time in the year 33658,
arrays in arrays to any depth) ends the connection, with all deliveries in hand. The message would come again, and end
the next one. So such a message is read without its properties.
"""

import struct

from pika import BasicProperties, frame, spec

#: A frame's type, channel and size (AMQP 0-9-1, 2.3.5).
_FRAME = struct.Struct(">BHL")
#: In a header frame: class, weight and the size of the body (2.3.5.2).
_CONTENT = struct.Struct(">HHQ")
#: What stands for the properties then: RabbitMQ's own headers are gone with them.
UNREADABLE = "crawl-unreadable-headers"


def read(data: bytes) -> tuple[int, frame.Frame | frame.ProtocolHeader | None]:
    """The first frame of what was received, and its bytes; 0 and None: it is not complete.

    Raises:
        pika's errors, and whatever its decoder raises, for all but the properties of a message.
    """
    try:
        return frame.decode_frame(data)
    except Exception as error:
        kind, channel, size = _FRAME.unpack_from(data)
        if kind != spec.FRAME_HEADER:
            raise
        (_class, _weight, body_bytes) = _CONTENT.unpack_from(data, _FRAME.size)
        bare = BasicProperties(headers={UNREADABLE: type(error).__name__})  # type: ignore[no-untyped-call]
        return _FRAME.size + size + spec.FRAME_END_SIZE, frame.Header(channel, body_bytes, bare)
