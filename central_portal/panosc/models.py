"""The models of the PaNOSC search API: `common/models/*.json` of panosc-eu/search-api, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "number", "date", "flag", "texts", "any"]
Row = Mapping[str, Any]
"""One object of a model as the API shows it: properties only; dates are ISO 8601 text in UTC."""


@dataclass(frozen=True, slots=True)
class Relation:
    """From one model to another; `many` when the API shows a list."""

    source: str
    name: str
    target: str
    many: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A model's properties, what `text` looks into, and its relations by name."""

    name: str
    properties: Mapping[str, Kind]
    texts: tuple[str, ...]
    relations: Mapping[str, Relation]


def _model(name: str, properties: str, texts: str = "", one: str = "", many: str = "") -> Model:
    kinds: dict[str, Kind] = {}
    for word in properties.split():
        key, _, kind = word.partition(":")
        kinds[key] = kind or "text"  # type: ignore[assignment]
    relations = {}
    for words, is_many in ((one, False), (many, True)):
        for word in words.split():
            relation, _, target = word.partition(":")
            relations[relation] = Relation(name, relation, target, is_many)
    return Model(name, kinds, tuple(texts.split()), relations)


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        _model(
            "Dataset",
            "pid title isPublic:flag creationDate:date size:number score:number",
            "title",
            "instrument:Instrument",
            "documents:Document techniques:Technique files:File parameters:Parameter samples:Sample",
        ),
        _model(
            "Document",
            "pid isPublic:flag type title summary doi startDate:date endDate:date releaseDate:date license"
            " keywords:texts score:number",
            "title summary",
            "",
            "datasets:Dataset members:Member parameters:Parameter",
        ),
        _model("Instrument", "pid name facility score:number", "name facility", "", "datasets:Dataset"),
        _model("Technique", "pid name panetId", "name", "", "datasets:Dataset"),
        _model("Sample", "pid name description", "name description", "", "datasets:Dataset"),
        _model("Parameter", "id:any name value:any unit", "", "dataset:Dataset document:Document"),
        _model("File", "id:any name path size:number", "name", "dataset:Dataset"),
        _model("Member", "id:any role", "", "document:Document person:Person affiliation:Affiliation"),
        _model("Person", "id:any fullName orcid researcherId firstName lastName", "", "", "members:Member"),
        _model("Affiliation", "id:any name address city country", "", "", "members:Member"),
    )
}
