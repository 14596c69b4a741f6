"""Pure: the grammar of a place's path, and the paths that it makes of what a catalogue says.

    path        = part *( "/" part )
    part        = [ literal ] [ placeholder ] [ literal ]      ; not empty, not beginning with "."
    literal     = 1*( letter / digit / "." / "-" / "_" )
    placeholder = "{" name *( ":" filter ) "}"
    name        = "proposal" / "code" / "visit" / "instrument" / "year" / "username"
    filter      = "lower" / "upper" / "plain"                  ; plain: letters and digits only

A part holds one placeholder at most, so that two proposals never make one path by where one value ends and the next
begins. The path of a place names the proposal: by `{proposal}`, or by `{code}` and `{visit}`. That of a mount names
the proposal or not, and `{username}` is for mounts alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

from facility_agent.ports.places import Whereabouts

OF_PROPOSALS = frozenset({"proposal", "code", "visit", "instrument", "year"})
NAMES = OF_PROPOSALS | {"username"}
FILTERS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "plain": lambda text: "".join(c for c in text if c.isalnum()),
}
MOST = 200
"""So many paths of one proposal are looked at."""
_PART = re.compile(r"([A-Za-z0-9._-]*)(?:\{([a-z]+)((?::[a-z]+)*)\})?([A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a path. `name` is empty for one that is the same for all."""

    before: str
    name: str = ""
    filters: tuple[str, ...] = ()
    after: str = ""

    def of(self, value: str) -> str | None:
        """The part with this value in it, None when that is no name of a folder."""
        for name in self.filters:
            value = FILTERS[name](value)
        text = f"{self.before}{value}{self.after}"
        return text if is_name(value) and is_name(text) else None


@dataclass(frozen=True, slots=True)
class Template:
    """A path in its parts; `separator` lies between a proposal's code and its visit."""

    parts: tuple[Part, ...]
    separator: str = ""

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that occur."""
        return frozenset(part.name for part in self.parts if part.name)

    @property
    def of_proposals(self) -> bool:
        """Whether each proposal has a path of its own."""
        return "proposal" in self.names or self.names >= {"code", "visit"}

    def paths(self, about: Whereabouts, titles: Mapping[str, str]) -> list[str]:
        """Every path, relative to the root, that these facts allow; none when one that is needed is missing.

        `titles` says how an instrument's folder is called where it is not called like the instrument.
        """
        values = self._values(about, titles)
        wanted = sorted(self.names)
        choices = islice(product(*(values[name] for name in wanted)), MOST)
        made = (self._path(dict(zip(wanted, choice, strict=True))) for choice in choices)
        return list(dict.fromkeys(path for path in made if path))

    def _values(self, about: Whereabouts, titles: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        code, found, visit = about.proposal.rpartition(self.separator) if self.separator else ("", "", "")
        return {
            "proposal": (about.proposal,),
            "code": (code,) if found else (),
            "visit": (visit,) if found else (),
            "instrument": tuple(titles.get(name, name) for name in about.instruments),
            "year": tuple(f"{year:04d}" for year in about.years),
            "username": (about.username,) if about.username else (),
        }

    def _path(self, values: Mapping[str, str]) -> str | None:
        parts = [part.of(values[part.name]) if part.name else part.before for part in self.parts]
        return "/".join(part for part in parts if part) if all(parts) else None


@dataclass(frozen=True, slots=True)
class Rule:
    """Below `root`, paths as `template` makes them; `titles` as for `Template.paths`."""

    root: Path
    template: Template
    titles: Mapping[str, str]


def is_name(text: str) -> bool:
    """Whether it can name one folder: visible, without `/`, no `.` in front, at most 255 bytes."""
    fit = len(text) > 0 and len(text.encode(errors="replace")) <= 255
    return fit and text.isprintable() and "/" not in text and not text.startswith(".") and text == text.strip()


def parse(text: str, separator: str = "") -> Template:
    """The template of a place that a text writes. Raises ValueError with one sentence for anything else."""
    template = parse_mount(text, separator)
    if "username" in template.names:
        raise ValueError("the data of a proposal are the same for everybody: {username} is for mounts")
    if not template.of_proposals:
        raise ValueError("a place names its proposal: by {proposal}, or by {code} and {visit}")
    return template


def parse_mount(text: str, separator: str = "") -> Template:
    """The template of a mount that a text writes. Raises ValueError with one sentence for anything else."""
    template = Template(tuple(_parts(text)), separator)
    if template.names & {"code", "visit"} and not separator:
        raise ValueError("{code} and {visit} need a separator")
    if template.names & OF_PROPOSALS and not template.of_proposals:
        raise ValueError("what a proposal has names it: by {proposal}, or by {code} and {visit}")
    return template


def _parts(text: str) -> Iterator[Part]:
    for each in text.split("/"):
        found = _PART.fullmatch(each)
        if found is None or not each or each.startswith("."):
            raise ValueError(f"{each!r} is no part of a place's path")
        before, name, filters, after = found[1], found[2] or "", found[3] or "", found[4]
        chosen = tuple(filters.split(":")[1:])
        if name and name not in NAMES:
            raise ValueError(f"there is no {{{name}}}; there are {', '.join(sorted(NAMES))}")
        if unknown := sorted({*chosen} - FILTERS.keys()):
            raise ValueError(f"there is no :{unknown[0]}; there are {', '.join(FILTERS)}")
        yield Part(before, name, chosen, after) if name else Part(each)
