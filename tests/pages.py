"""What a console answers, as text: a page, or the file that a list is taken away as."""

import json
from typing import Any

from tests.conftest import Home


def text(answer: Any) -> str:
    """The whole body; of a file too, which comes in pieces."""
    return (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()


def names(home: Home, path: str, query: str) -> list[str]:
    """The names of the rows that a list shows for a query string, in its order; all pages."""
    return [row["name"] for row in json.loads(text(home.browser().get(f"{path}?{query}&export=json")))]
