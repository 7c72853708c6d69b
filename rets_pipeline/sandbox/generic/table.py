"""The content of a search answer: rows, in COMPACT or STANDARD-XML.

What belongs here: the form of rows, and the ways in which faults may bend it. What does not: which
rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from rets_pipeline.sandbox.answers import DECLARATION

_CHUNK = 200
RECORD = "ResidentialProperty"


@dataclass(slots=True)
class Table:
    """Rows that are not written yet.

    Attributes:
        columns: their names.
        rows: texts that are escaped already; read once.
        count: of all rows that were found, or None for no COUNT.
        maxrows: whether a MAXROWS follows the rows.
        standard_xml: written so, instead of in COMPACT.
        delimiter: between cells.
        declared: the value of DELIMITER, or None for no such element.
        leading: a delimiter stands before the first cell.
        trailing: likewise behind the last one.
        code: the reply code of the opening tag.
        namespace: of the records of STANDARD-XML, or nothing.
        prefix: of its elements, or nothing.
    """

    columns: list[str]
    rows: Iterable[list[str]]
    count: int | None
    maxrows: bool = False
    standard_xml: bool = False
    delimiter: str = "\t"
    declared: str | None = "09"
    leading: bool = True
    trailing: bool = True
    code: int = 0
    namespace: str = ""
    prefix: str = ""

    def pieces(self) -> Iterator[bytes]:
        """The body as it is sent."""
        words = "Operation Successful" if self.code == 0 else "Maximum Records Exceeded"
        head = f'{DECLARATION}\r\n<RETS ReplyCode="{self.code}" ReplyText="{words}">\r\n'
        if self.count is not None:
            head += f'<COUNT Records="{self.count}" />\r\n'
        begin, end = self._around()
        yield (head + begin).encode()
        write = self._element if self.standard_xml else self._data
        rows = iter(self.rows)
        while chunk := list(islice(rows, _CHUNK)):
            yield "".join(map(write, chunk)).encode()
        yield f"{end}{'<MAXROWS />' if self.maxrows else ''}</RETS>\r\n".encode()

    def _around(self) -> tuple[str, str]:
        if self.standard_xml:
            colon = f"{self.prefix}:" if self.prefix else ""
            name = f"xmlns:{self.prefix}" if self.prefix else "xmlns"
            space = f' {name}="{self.namespace}"' if self.namespace else ""
            begin = f"<{colon}REData{space}><{colon}REProperties>\r\n"
            return begin, f"</{colon}REProperties></{colon}REData>\r\n"
        shown = f'<DELIMITER value="{self.declared}" />\r\n' if self.declared is not None else ""
        if not self.columns:
            return shown, ""
        return f"{shown}<COLUMNS>{self._line(self.columns)}</COLUMNS>\r\n", ""

    def _data(self, cells: list[str]) -> str:
        return f"<DATA>{self._line(cells)}</DATA>\r\n"

    def _line(self, cells: list[str]) -> str:
        edge = self.delimiter
        before, behind = edge if self.leading else "", edge if self.trailing else ""
        return f"{before}{edge.join(cells)}{behind}"

    def _element(self, cells: list[str]) -> str:
        colon = f"{self.prefix}:" if self.prefix else ""
        # STANDARD-XML leaves out what is empty.
        inside = "".join(
            f"<{colon}{name}>{text}</{colon}{name}>"
            for name, text in zip(self.columns, cells, strict=False)
            if text
        )
        return f"<{colon}{RECORD}>{inside}</{colon}{RECORD}>\r\n"
