"""Links of a proxied page, made to lead through the proxy. Pure.

Only what names the back end itself is rewritten: absolute paths, and whole URLs with one of its own names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit, urlunsplit

_ATTRIBUTES: dict[str, frozenset[str]] = {
    tag: frozenset(names.split(","))
    for tag, names in {
        "a": "href", "applet": "codebase", "area": "href", "audio": "src", "base": "href", "blockquote": "cite",
        "body": "background", "button": "formaction", "command": "icon", "del": "cite", "embed": "src",
        "form": "action", "frame": "longdesc,src", "head": "profile", "html": "manifest", "iframe": "longdesc,src",
        "img": "longdesc,src,usemap", "input": "src,usemap,formaction", "ins": "cite", "link": "href",
        "object": "classid,codebase,data,usemap", "q": "cite", "script": "src", "source": "src",
        "video": "poster,src",
    }.items()
}  # fmt: skip
_ATTRIBUTE = re.compile(r"""(\s)([A-Za-z]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")


def rewritten(url: str, prefix: str, hosts: Sequence[str]) -> str:
    """The URL, through the proxy whose path is prefix when it leads to one of the hosts ("": none named)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if parts.netloc not in hosts or not parts.path.startswith("/"):
        return url
    if not parts.path.startswith(prefix):
        parts = parts._replace(path=prefix.rstrip("/") + parts.path)
    return urlunsplit(parts._replace(scheme="", netloc=""))


def rewrite(page: bytes, prefix: str, hosts: Sequence[str]) -> bytes:
    """An HTML page with its links rewritten; a page that is no UTF-8 stays as it is."""
    try:
        text = page.decode()
    except UnicodeDecodeError:
        return page
    writer = _Writer(prefix, hosts)
    writer.feed(text)
    writer.close()
    return "".join(writer.parts).encode()


class _Writer(HTMLParser):
    """Writes down what it reads, links aside."""

    def __init__(self, prefix: str, hosts: Sequence[str]) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._prefix = prefix
        self._hosts = hosts

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text = self.get_starttag_text() or ""
        names = _ATTRIBUTES.get(tag)
        if names is not None:
            text = _ATTRIBUTE.sub(lambda found: self._attribute(found, names), text)
        self.parts.append(text)

    def _attribute(self, found: re.Match[str], names: frozenset[str]) -> str:
        space, name, equals, value = found.groups()
        if name.lower() not in names:
            return found.group()
        url = unescape(value[1:-1] if value[0] in "\"'" else value)
        return f'{space}{name}{equals}"{escape(rewritten(url, self._prefix, self._hosts))}"'

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.parts.append(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.parts.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.parts.append(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.parts.append(f"<?{data}>")

    def unknown_decl(self, data: str) -> None:
        self.parts.append(f"<![{data}]>")
