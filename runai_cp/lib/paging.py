"""Pages of a console list: from a count and a page number to what the pager prints. Pure."""

from dataclasses import dataclass

SIZE = 50


@dataclass(frozen=True, slots=True)
class Pages:
    """One-based page ``number`` of a list of ``total`` rows."""

    total: int
    number: int
    size: int = SIZE

    @property
    def count(self) -> int:
        return max(1, -(-self.total // self.size))

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        return self.offset + 1

    @property
    def last(self) -> int:
        return min(self.total, self.offset + self.size)

    @property
    def previous(self) -> int:
        return self.number - 1

    @property
    def next(self) -> int:
        return self.number + 1

    @property
    def window(self) -> list[int]:
        """Page numbers to offer; 0 stands for a gap: 1 … 4 5 6 … 200."""
        near = [n for n in range(self.number - 1, self.number + 2) if 1 < n < self.count]
        numbers = [1, *near, *([self.count] if self.count > 1 else [])]
        out: list[int] = []
        for number in numbers:
            if out and out[-1] and number - out[-1] > 1:
                out.append(0)
            out.append(number)
        return out


def pages(total: int, raw: str | None, size: int = SIZE) -> Pages:
    """A page number that is no number is the first page; one past the end is the last."""
    number = int(raw) if raw and raw.isascii() and raw.isdigit() and len(raw) < 9 else 1
    last = max(1, -(-total // size))
    return Pages(total, max(1, min(number, last)), size)
