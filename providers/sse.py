"""Server-sent events, cut into payloads. Pure: bytes in, payload bytes out, wherever the borders fall."""

from collections.abc import Iterator

from providers.errors import Broken

# One event larger than this is refused: a tool call with a large document fits, an attack does not.
EVENT_LIMIT = 4 * 1024 * 1024

BOM = b"\xef\xbb\xbf"


class Events:
    """Collects bytes and yields the ``data`` of every whole event that has some.

    Takes LF, CRLF and CR as line ends, a missing space after the colon, comments, several data lines
    in one event and a byte order mark at the start (WHATWG HTML, section 9.2.6).
    """

    def __init__(self) -> None:
        self._rest = bytearray()  # the line that has begun
        self._lines: list[bytes] = []  # data lines of the event that has begun
        self._size = 0  # of those lines
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Payloads that ``data`` completes. Raises Broken on an event over EVENT_LIMIT."""
        if not self._started:
            data = self._start(data)
        if self._after_cr or b"\r" in data:
            data = self._with_plain_ends(data)
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            if self._rest:
                whole = bytes(self._rest) + whole
                self._rest.clear()
            for line in whole.split(b"\n"):
                if line:
                    self._take(line)
                elif self._lines and (payload := self._payload()):
                    yield payload
        if rest:
            self._keep(rest)

    def end(self) -> Iterator[bytes]:
        """The last event, if the vendor forgot the blank line after it."""
        if self._rest:
            self._take(bytes(self._rest))
            self._rest.clear()
        if payload := self._payload():
            yield payload

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._size += len(line)
            if self._size > EVENT_LIMIT:
                raise Broken(detail="an event over the size limit")
            self._lines.append(line[6:] if line.startswith(b"data: ") else line[5:])

    def _payload(self) -> bytes:
        payload = b"\n".join(self._lines)
        self._lines, self._size = [], 0
        return payload

    def _keep(self, rest: bytes) -> None:
        self._rest += rest
        if len(self._rest) > EVENT_LIMIT:
            raise Broken(detail="an event over the size limit")

    def _start(self, data: bytes) -> bytes:
        """``data`` without a byte order mark, once there is enough of it to tell."""
        head = bytes(self._rest) + data
        self._rest.clear()
        if len(head) < len(BOM) and BOM.startswith(head):
            self._rest += head
            return b""
        self._started = True
        return head.removeprefix(BOM)

    def _with_plain_ends(self, data: bytes) -> bytes:
        # The LF of a CRLF may come in the next piece: the CR has ended the line, so the LF ends nothing.
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
