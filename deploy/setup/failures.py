"""The page of failures: every reason with its sentence, as the code has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

HEAD = """# Why a workspace does not run

Generated from the code. A reason is stable: programs may branch on it. The sentence is what people are told; some name a number or a proposal in its place.
"""
NOT_ABOUT_WORKSPACES = ("INTERNAL", "REPLAYED", "CODE_NOT_VALID")


def page() -> str:
    """Markdown."""
    from facility_agent.adapters.compute import kubernetes_reasons, slurm_reasons
    from facility_agent.adapters.compute.endings import ENDINGS
    from shared.errors import every_error

    known = [cls for cls in every_error() if cls.__module__ == "shared.errors"]
    errors = {cls.reason: cls.default_message for cls in known if cls.reason not in NOT_ABOUT_WORKSPACES}
    limits = [
        slurm_reasons.waiting(word)
        for word in ("QOSMaxJobsPerUserLimit", "QOSGrpCpuLimit", "AssocGrpCPUMinutesLimit", "QOSMinCpuNotSatisfied", "AssocMaxWallDurationPerJobLimit")
    ]  # fmt: skip
    waits = {each.code: each.sentence for each in reversed((*slurm_reasons.WAITING.values(), *limits))}
    waits = dict(reversed(waits.items()))  # of several sentences the first
    ends = {
        each.code: each.sentence
        for each in (*slurm_reasons.ENDED.values(), *slurm_reasons.OWN.values())
        if each.code not in ENDINGS
    }
    cluster = {code: said for code, said in kubernetes_reasons.SENTENCES.items() if code not in ENDINGS}
    why = {
        "LIFETIME": "It reached its end.", "TIMED_OUT": "It did not start within 10 minutes.",
        "CANCELLED": "You stopped it before the facility had heard of it.",
    }  # fmt: skip
    return "\n".join(
        [
            HEAD, *_table("It is refused, or cannot be started", errors), *_table("It waits at Slurm", waits),
            *_table("It has ended, wherever it ran", {**why, **ENDINGS}), *_table("It has ended at Slurm", ends),
            *_table("It waits, or has ended, at Kubernetes", cluster),
        ]
    )  # fmt: skip


def _table(title: str, rows: Mapping[str, str]) -> Iterable[str]:
    yield f"## {title}\n\n| reason | what people are told |\n| --- | --- |"
    yield from (f"| `{code}` | {sentence} |" for code, sentence in rows.items())
    yield ""
