"""Open records as the facilities' agents sent them, and how far each facility has been read."""

from django.db import models


class MirroredFacility(models.Model):
    """How far a facility's changes have been read. `read_at` is when its catalogue was, by the database's clock.

    While `restarting`, records of an older `generation` are those that the new beginning has not named yet. `edition` rises
    whenever its open datasets may have changed.
    """

    slug = models.CharField(max_length=40, primary_key=True)
    token = models.CharField(max_length=200, blank=True)
    generation = models.PositiveBigIntegerField(default=0)
    restarting = models.BooleanField(default=False)
    read_at = models.FloatField(null=True)
    complete = models.BooleanField(default=False)
    edition = models.PositiveBigIntegerField(default=0)


class OpenRecord(models.Model):
    """An open dataset (`d`) or proposal (`p`), or the tombstone of one. `payload` is `shared.wire`'s.

    `proposal`, `instrument`, `sample` and `terms` (techniques between line breaks, which none contains), `rank` (by `shared.catalogue.key`), `year` (of its
    start, in UTC), `term_set` (a digest of `terms`) and the words (folded, a space before each) repeat what a dataset says, to find and
    count it by.
    """

    facility = models.CharField(max_length=40)
    kind = models.CharField(max_length=1)
    pid = models.CharField(max_length=512)
    generation = models.PositiveBigIntegerField()
    changed_at = models.FloatField()
    gone = models.BooleanField(default=False)
    proposal = models.CharField(max_length=100, blank=True)
    instrument = models.CharField(max_length=100, blank=True)
    sample = models.CharField(max_length=300, blank=True)
    terms = models.TextField(blank=True)
    term_set = models.CharField(max_length=32, blank=True)
    rank = models.FloatField(default=1e300)
    year = models.SmallIntegerField(null=True)
    words = models.TextField(blank=True)
    sample_words = models.TextField(blank=True)
    title_words = models.TextField(blank=True)
    payload = models.BinaryField()

    class Meta:
        """A record is known by facility, kind and pid."""

        constraints = [models.UniqueConstraint(fields=["facility", "kind", "pid"], name="open_record")]
        indexes = [
            models.Index(fields=["facility", "proposal"], name="open_record_proposal"),
            models.Index(fields=["facility", "instrument"], name="open_record_instrument"),
            models.Index(fields=["facility", "gone", "changed_at"], name="open_record_changed"),
            models.Index(fields=["facility", "kind", "rank"], name="open_record_rank"),
            models.Index(fields=["kind", "changed_at", "id"], name="open_record_order"),
            # Holds all that is counted: the table's wide rows are not read for it.
            models.Index(
                fields=["kind", "facility", "instrument", "year", "term_set", "id", "gone"],
                name="open_record_counted",
                condition=models.Q(gone=False),
            ),
        ]
