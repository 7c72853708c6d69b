"""The content of a login answer.

What belongs here: the lines, and the forms in which servers write them. What does not: sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from rets_pipeline.sandbox.answers import DECLARATION


@dataclass(slots=True)
class LoginLines:
    """The lines of a login answer.

    Attributes:
        lines: keys and values; a line with the key "" is written as it is.
        wrapped: they stand in a RETS-RESPONSE element.
        equals: between a key and its value.
        newline: after each line.
        names: of the elements; ``lower`` writes them so.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    wrapped: bool = True
    equals: str = "="
    newline: str = "\r\n"
    lower: bool = False

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent."""
        lines = "".join(
            (f"{key}{self.equals}{escape(value, quote=False)}" if key else value) + self.newline
            for key, value in self.lines
        )
        inside = f"<RETS-RESPONSE>{self.newline}{lines}</RETS-RESPONSE>" if self.wrapped else lines
        head = f'{DECLARATION}<RETS ReplyCode="0" ReplyText="Operation Successful">'
        written = f"{head}{inside}</RETS>"
        if self.lower:
            for name in ("RETS-RESPONSE", "RETS"):
                written = written.replace(f"<{name}", f"<{name.lower()}")
                written = written.replace(f"</{name}", f"</{name.lower()}")
        yield written.encode()

    def change(self, values: dict[str, str]) -> None:
        """Put other values in the place of those that the lines have."""
        self.lines = [(key, values.get(key, value)) for key, value in self.lines]
