"""Facilities that the operator added, and the tokens, agents and certificates of every facility. Times are POSIX seconds."""

from django.db import models


class Member(models.Model):
    """A facility that takes part; those of federation.toml have no row."""

    slug = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=120)
    gateway = models.CharField(max_length=2000)
    workspace_zone = models.CharField(max_length=253)
    enabled = models.BooleanField(default=True)


class EnrolmentToken(models.Model):
    """The right to enrol once; `key_hash` and `serial` say what it was spent on."""

    hash = models.CharField(max_length=64, primary_key=True)
    facility = models.CharField(max_length=40, db_index=True)
    expires_at = models.FloatField()
    key_hash = models.CharField(max_length=64, blank=True)
    serial = models.CharField(max_length=40, blank=True)


class Agent(models.Model):
    """One enrolment: a facility's n-th agent with its long-lived key. The newest that was used replaces the others."""

    facility = models.CharField(max_length=40)
    number = models.PositiveIntegerField()
    public_key = models.BinaryField(max_length=32)
    enrolled_at = models.FloatField()
    replaced_at = models.FloatField(null=True)
    revoked_at = models.FloatField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["facility", "number"], name="enrolment_agent_number")]


class Certificate(models.Model):
    """A certificate of an agent: a candidate until it is used, good until it is retired, revoked or over."""

    serial = models.CharField(max_length=40, primary_key=True)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="certificates")
    key_hash = models.CharField(max_length=64)
    der = models.BinaryField()
    issued_at = models.FloatField()
    not_after = models.FloatField()
    recovered = models.BooleanField(default=False)
    used_at = models.FloatField(null=True)
    retired_at = models.FloatField(null=True)
    revoked_at = models.FloatField(null=True)
