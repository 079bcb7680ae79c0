"""Show the examples of docstrings as code: an extension of griffe, which reads the docstrings of the Python reference."""

from __future__ import annotations

import inspect
import re

import griffe

EXAMPLE = re.compile(r"(?:^|\n)(>>> .*?)(?=\n\s*\n|\Z)", re.DOTALL)
MARKUP = re.compile(r"(`[^`]*`)|([][*<_])")


def as_markdown(docstring: str) -> str:
    """Return a docstring with its examples as blocks of code, and the marks of Markdown outside of code as plain text.

    >>> print(as_markdown("Add x * y.\\n\\n>>> 1 * 2\\n2"))
    Add x \\* y.
    <BLANKLINE>
    ```pycon
    >>> 1 * 2
    2
    ```
    """
    pieces = EXAMPLE.split(inspect.cleandoc(docstring))
    text = [MARKUP.sub(lambda mark: mark[1] or "\\" + mark[2], piece) for piece in pieces[::2]]
    code = [f"\n\n```pycon\n{piece}\n```" for piece in pieces[1::2]]
    return "".join(part for pair in zip(text, [*code, ""], strict=True) for part in pair).replace("\n\n\n", "\n\n")


class DocstringExamples(griffe.Extension):
    """Extension that rewrites each docstring once, when its object has been read."""

    def on_instance(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
