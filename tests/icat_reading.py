"""A second, simple-minded reading of the rules of the ICAT dump, and random changes of the dump.

It shares nothing with the stand-in or the adapter: it walks the dump's own documents, and knows each rule for
investigations, datasets and datafiles by what a person would say of it. A rule that it does not know fails the test.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.icat_dump import NOW, documents

Documents = list[dict[str, Any]]
Object = dict[str, Any]
OPEN = r"(o|ds)\.complete = False"
WRITER = r" AND s1\.role = 'writer'"
KINDS = ("Investigation", "Dataset", "Datafile")


class Facts:
    """The dump's documents, looked through from the start for each question."""

    def __init__(self, dump: Documents) -> None:
        self._dump = dump

    def all(self, kind: str) -> dict[str, Object]:
        return {key: each for document in self._dump for key, each in document.get(kind, {}).items()}

    def member(self, grouping: str, user: str) -> bool:
        groups = self.all("grouping")[grouping].get("userGroups", [])
        return any(self.all("user")[each["user"]]["name"] == user for each in groups)

    def works_on(self, investigation: str, user: str, role: str = "") -> bool:
        groups = self.all("investigation")[investigation].get("investigationGroups", [])
        return any(self.member(each["grouping"], user) for each in groups if role in ("", each["role"]))

    def looks_after(self, investigation: str, user: str) -> bool:
        for each in self.all("investigation")[investigation].get("investigationInstruments", []):
            people = self.all("instrument")[each["instrument"]].get("instrumentScientists", [])
            if any(self.all("user")[person["user"]]["name"] == user for person in people):
                return True
        return False

    def released(self, investigation: str) -> bool:
        date = self.all("investigation")[investigation].get("releaseDate")
        return date is not None and datetime.fromisoformat(date) < NOW

    def open(self, places: dict[str, str], unfinished: bool) -> bool:
        return not unfinished or self.all("dataset")[places["Dataset"]]["complete"] is False

    def raw(self, dataset: str) -> bool:
        return bool(self.all("datasetType")[self.all("dataset")[dataset]["type"]]["name"] == "raw")

    def published(self, kind: str, key: str, *, soon: bool) -> bool:
        """Whether it is itself in a collection that is published, or is going to be."""
        for publication in self.all("dataPublication").values():
            content = self.all("dataCollection")[publication["content"]]
            listed = [each[kind] for each in content.get(f"dataCollection{kind.capitalize()}s", [])]
            if key in listed and (soon or datetime.fromisoformat(publication["publicationDate"]) < NOW):
                return True
        return False


def chain(facts: Facts, kind: str, key: str) -> dict[str, str]:
    """The investigation, dataset and datafile that an object is, or lies in."""
    found = {kind: key}
    if kind == "Datafile":
        found["Dataset"] = facts.all("datafile")[key]["dataset"]
    if kind != "Investigation":
        found["Investigation"] = facts.all("dataset")[found["Dataset"]]["investigation"]
    return found


def says(what: str, kind: str) -> Callable[[Facts, dict[str, str], str], bool] | None:
    """What a rule about this kind says of an object and a user; None when it is not about this kind."""
    if what == kind:
        return lambda facts, places, user: True
    if not what.startswith(f"SELECT o FROM {kind} o "):
        return None
    for part, name in (("Investigation", "Investigations"), ("Dataset", "Datasets"), ("Datafile", "Datafiles")):
        if f".dataCollection{name} " in what:
            soon = what.endswith("WHERE s3.id IS NOT NULL")
            assert soon or what.endswith("WHERE s3.publicationDate < CURRENT_TIMESTAMP"), what
            return lambda facts, places, user: facts.published(part.lower(), places[part], soon=soon)
    before, _, where = what.partition(" WHERE ")
    unfinished = "complete = False AND " in where
    if "investigationGroups" in before:
        role = "writer" if where.endswith(" AND s1.role = 'writer'") else ""
        assert re.fullmatch(rf"({OPEN} AND )?s[34]\.name = :user{WRITER if role else ''}", where), what
        return lambda facts, places, user: (
            facts.works_on(places["Investigation"], user, role) and facts.open(places, unfinished)
        )
    if "instrumentScientists" in before:
        assert re.fullmatch(rf"({OPEN} AND )?s[34]\.name = :user", where), what
        return lambda facts, places, user: (
            facts.looks_after(places["Investigation"], user) and facts.open(places, unfinished)
        )
    assert "releaseDate < CURRENT_TIMESTAMP" in what, f"what is {what}?"
    if kind == "Investigation":
        return lambda facts, places, user: facts.released(places["Investigation"])
    assert what.endswith(".name = 'raw'"), what
    return lambda facts, places, user: facts.released(places["Investigation"]) and facts.raw(places["Dataset"])


def expected(dump: Documents, kind: str, user: str) -> set[str]:
    """The names of what a user sees, with those of what it lies in."""
    facts, seen = Facts(dump), set[str]()
    for key in facts.all(kind.lower()):
        places = chain(facts, kind, key)
        for rule in facts.all("rule").values():
            said = says(rule["what"], kind)
            if said is None:
                continue
            everybody = "grouping" not in rule
            public = everybody and rule["what"] == kind
            mine = "R" in rule["crudFlags"] and (everybody or facts.member(rule["grouping"], user))
            if user == "simple/root" or public or (mine and said(facts, places, user)):
                seen.add(
                    "/".join(facts.all(part.lower())[places[part]]["name"] for part in KINDS if part in places)
                )
    return seen


class Edits:
    """Random changes of a dump's documents, as an administrator would make them."""

    def __init__(self, dump: Documents, chance: random.Random) -> None:
        self._dump, self._chance = dump, chance

    def _any(self, kind: str) -> Object:
        each: list[Object] = [each for document in self._dump for each in document.get(kind, {}).values()]
        return self._chance.choice(sorted(each, key=str))

    def _somebody(self) -> str:
        users: list[str] = [key for document in self._dump for key in document.get("user", {})]
        return self._chance.choice(sorted(users))

    def move_a_user(self) -> None:
        grouping = self._any("grouping")
        members = [each for each in grouping.get("userGroups", []) if self._chance.random() < 0.5]
        newcomer = {"user": self._somebody()}
        grouping["userGroups"] = [*members, newcomer] if newcomer not in members else members

    def empty_a_group(self) -> None:
        self._any("grouping").pop("userGroups", None)

    def drop_a_rule(self) -> None:
        rules = next(document["rule"] for document in self._dump if "rule" in document)
        about = [key for key, rule in rules.items() if any(says(rule["what"], kind) for kind in KINDS)]
        rules.pop(self._chance.choice(sorted(about)))

    def open_a_rule(self) -> None:
        self._any("rule").pop("grouping", None)

    def shut_a_rule(self) -> None:
        groupings = [key for document in self._dump for key in document.get("grouping", {})]
        self._any("rule")["grouping"] = self._chance.choice(sorted(groupings))

    def change_what_a_rule_allows(self) -> None:
        self._any("rule")["crudFlags"] = self._chance.choice(["R", "CUD", "CRUD", "U"])

    def publish_sometime(self) -> None:
        date = NOW + timedelta(days=self._chance.choice([-1000, -1, 1, 1000]), seconds=self._chance.randint(-5, 5))
        self._any("dataPublication")["publicationDate"] = date.isoformat()

    def publish_something_else(self) -> None:
        collections = [key for document in self._dump for key in document.get("dataCollection", {})]
        self._any("dataPublication")["content"] = self._chance.choice(sorted(collections))

    def release(self) -> None:
        date = NOW + self._chance.choice([-1, 0, 1]) * timedelta(seconds=self._chance.choice([1, 10**7]))
        self._any("investigation")["releaseDate"] = date.isoformat()

    def change_who_looks_after_an_instrument(self) -> None:
        self._any("instrument")["instrumentScientists"] = [{"user": self._somebody()}]

    def change_the_type_of_a_dataset(self) -> None:
        self._any("dataset")["type"] = self._any("dataset")["type"]

    def move_a_file(self) -> None:
        datasets = [key for document in self._dump for key in document.get("dataset", {})]
        self._any("datafile")["dataset"] = self._chance.choice(sorted(datasets))

    def one(self) -> str:
        """Makes one change and says which."""
        names = sorted(name for name in vars(Edits) if not name.startswith("_") and name != "one")
        name = self._chance.choice(names)
        getattr(self, name)()
        return name


def edited() -> Iterator[tuple[int, list[str], Documents]]:
    for seed in range(200):
        chance, dump = random.Random(seed), copy.deepcopy(documents())
        edits = Edits(dump, chance)
        yield seed, [edits.one() for _ in range(chance.randint(1, 4))], dump
