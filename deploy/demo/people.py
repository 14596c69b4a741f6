"""The demo's people: at UmbrellaID, and as accounts of the two facilities."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `accounts` maps a facility to (username, password, uid)."""

    login: str
    name: str
    accounts: dict[str, tuple[str, str, int]]
    proposals: dict[str, tuple[str, ...]]


PEOPLE = (
    Person(
        "ada",
        "Ada Example",
        {"alpha": ("aexample", "lattice-alpha", 20001), "beta": ("ada.e", "lattice-beta", 30001)},
        {"alpha": ("AL-2026-001", "AL-2026-002"), "beta": ("BE-26-11",)},
    ),
    Person(
        "ben",
        "Ben Sample",
        {"alpha": ("bsample", "crystal-alpha", 20002), "beta": ("ben.s", "crystal-beta", 30002)},
        {"alpha": ("AL-2026-007",), "beta": ("BE-26-12",)},
    ),
)
