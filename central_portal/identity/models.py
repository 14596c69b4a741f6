"""Persons, portal sessions and sealed grants. No row holds a secret that opens anything by itself."""

from django.db import models


class Person(models.Model):
    """Someone who signed in: a subject, and the name to greet them with."""

    issuer = models.CharField(max_length=255)
    sub = models.CharField(max_length=255)
    name = models.CharField(max_length=120)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["issuer", "sub"], name="one_person_per_subject")]


class PortalSession(models.Model):
    """A browser's session under the hash of its cookie; `id_token` is sealed under the cookie itself.

    `family` is shared by a session and all that came from it by renewal: they end together.
    """

    hash = models.CharField(max_length=64, primary_key=True)
    family = models.CharField(max_length=64, db_index=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE)
    provider = models.CharField(max_length=40)
    sid = models.CharField(max_length=255, db_index=True)
    id_token = models.BinaryField()
    created_at = models.FloatField()
    expires_at = models.FloatField()
    replaced_at = models.FloatField(null=True)


class SealedGrant(models.Model):
    """A grant at one facility; `box` is its secret, sealed under the session's cookie."""

    session = models.ForeignKey(PortalSession, on_delete=models.CASCADE, related_name="grants")
    facility = models.CharField(max_length=40)
    grant_id = models.CharField(max_length=64)
    box = models.BinaryField()
    scopes = models.CharField(max_length=40)
    clock_offset_ms = models.BigIntegerField()
    expires_at = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "facility"], name="one_grant_per_facility")]


class ConnectAttempt(models.Model):
    """A visit to a gateway under way, under the hash of its state."""

    state_hash = models.CharField(max_length=64, primary_key=True)
    session = models.ForeignKey(PortalSession, on_delete=models.CASCADE, related_name="attempts")
    facility = models.CharField(max_length=40)
    return_to = models.CharField(max_length=2000)
    expires_at = models.FloatField()


class AccountLinkKnowledge(models.Model):
    """All that the centre knows of an account link: linked or not, and when it learnt it."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="account_links")
    facility = models.CharField(max_length=40)
    state = models.CharField(max_length=12)
    checked_at = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "facility"], name="one_state_per_facility")]


class EndedSid(models.Model):
    """A provider's session that ended lately: a sign-in still under way must not revive it."""

    provider = models.CharField(max_length=40)
    sid = models.CharField(max_length=255)
    until = models.FloatField()
