"""A browser without a screen: cookies per host, redirects with the headers that a browser sends, forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

import requests

MOST_REDIRECTS = 20


@dataclass
class Page:
    """What an address answered after its redirects."""

    url: str
    status: int
    body: str
    hops: list[str] = field(default_factory=list)


@dataclass
class Form:
    """A form of a page: where it goes, and its fields; `buttons` are (name, value, text)."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self._base, self.forms = base, list[Form]()
        self._button: tuple[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(urljoin(self._base, values.get("action") or self._base)))
        elif tag == "input" and self.forms and values.get("name"):
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif tag == "button" and self.forms:
            self._button = (values.get("name", ""), values.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._button and data.strip():
            self.forms[-1].buttons.append((*self._button, data.strip()))
            self._button = None


class Browser:
    """Cookies are kept per host and sent to that host alone (the demo sets no others); *.localhost counts as secure."""

    def __init__(self) -> None:
        self.cookies: dict[str, dict[str, str]] = {}
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, url: str, *, since: str = "") -> Page:
        """Navigate to an address. `since` is the page on which the person pressed; empty for a typed address."""
        return self._navigate("GET", url, None, since)

    def submit(self, page: Page, values: dict[str, str] | None = None, button: str = "") -> Page:
        """Submit the page's first form, by the button whose name, value or text contains `button`."""
        parser = _Forms(page.url)
        parser.feed(page.body)
        if not parser.forms:
            raise AssertionError(f"{page.url} ({page.status}) has no form: {page.body[:300]}")
        form = parser.forms[0]
        data = {**form.fields, **(values or {})}
        data |= {
            name: value
            for name, value, text in form.buttons
            if name and button and (button in (name, value) or button in text)
        }
        return self._navigate("POST", form.action, data, page.url)

    def post_json(self, url: str, body: object) -> requests.Response:
        """A script of the page posts JSON to its own origin."""
        origin = _origin(url)
        headers = {
            "Origin": origin,
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Dest": "empty",
        }
        answer = self._session.post(url, json=body, headers={**headers, **self._cookie(url)}, timeout=30)
        self._keep(url, answer)
        return answer

    def cookie_header(self, url: str) -> str:
        """What this browser would send as `Cookie`."""
        return self._cookie(url).get("Cookie", "")

    def _navigate(self, method: str, url: str, data: dict[str, str] | None, since: str) -> Page:
        page = Page(url, 0, "")
        crossed = "none" if not since else "same-origin"
        origin = _origin(since) if since else ""
        for _ in range(MOST_REDIRECTS):
            if since and _origin(url) != origin:
                crossed = "cross-site"
            headers = {
                "Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": crossed, "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document", **self._cookie(url),
            }  # fmt: skip
            if method == "POST":
                headers["Origin"] = origin
            answer = self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False, timeout=30
            )
            self._keep(url, answer)
            page.hops.append(url.partition("?")[0])
            if answer.status_code not in (301, 302, 303, 307) or "location" not in answer.headers:
                page.url, page.status, page.body = url, answer.status_code, answer.text
                return page
            url = urljoin(url, answer.headers["location"])
            method, data, since = "GET", None, since or url
        raise AssertionError(f"more than {MOST_REDIRECTS} redirects: {page.hops}")

    def _cookie(self, url: str) -> dict[str, str]:
        jar = self.cookies.get(urlsplit(url).hostname or "", {})
        sent = [f"{name}={value}" for name, value in jar.items()]
        return {"Cookie": "; ".join(sent)} if sent else {}

    def _keep(self, url: str, answer: requests.Response) -> None:
        jar = self.cookies.setdefault(urlsplit(url).hostname or "", {})
        raw = answer.raw.headers.getlist("set-cookie") if answer.raw is not None else []
        for line in raw:
            for name, morsel in SimpleCookie(line).items():
                gone = morsel["max-age"] == "0" or "1970" in morsel["expires"]
                jar.pop(name, None)
                if not gone:
                    jar[name] = morsel.value


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
