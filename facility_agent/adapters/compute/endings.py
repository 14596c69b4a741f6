"""Ends that mean the same wherever a workspace ran: one reason and one sentence each."""

from __future__ import annotations

from collections.abc import Mapping

ENDINGS: Mapping[str, str] = {
    "OUT_OF_MEMORY": "It used more memory than its size has; start it again in a larger size.",
    "NODE_LOST": "The machine that it ran on was lost; start it again.",
    "PREEMPTED": "More urgent work at the facility has taken its place; start it again later.",
    "KILLED": "It was ended from outside.",
    "EXITED": "It ended with a fault; its output is kept at the facility.",
}
