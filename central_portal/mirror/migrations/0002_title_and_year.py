"""Datasets are judged by their titles and counted by their years and techniques: what is held already learns all three."""

import hashlib
from datetime import UTC, datetime

from django.db import migrations, models

from shared.wire.catalogue import decode_dataset

BATCH = 500


def learn(apps, _):
    rows = apps.get_model("mirror", "OpenRecord").objects
    after = 0
    while batch := list(rows.filter(kind="d", gone=False, id__gt=after).order_by("id")[:BATCH]):
        for row in batch:
            dataset = decode_dataset(bytes(row.payload))
            row.title_words = "".join(f" {word}" for word in dataset.title.casefold().split())
            row.year = None if dataset.started is None else datetime.fromtimestamp(dataset.started, UTC).year
            row.term_set = hashlib.blake2b(row.terms.encode(), digest_size=16).hexdigest() if row.terms else ""
        rows.bulk_update(batch, ["title_words", "year", "term_set"])
        after = batch[-1].id


class Migration(migrations.Migration):

    dependencies = [("mirror", "0001_initial")]

    operations = [
        migrations.AddField("mirroredfacility", "edition", models.PositiveBigIntegerField(default=0)),
        migrations.AddField("openrecord", "year", models.SmallIntegerField(null=True)),
        migrations.AddField("openrecord", "title_words", models.TextField(blank=True, default=""), preserve_default=False),
        migrations.AddField(
            "openrecord", "term_set", models.CharField(blank=True, default="", max_length=32), preserve_default=False
        ),
        migrations.RunPython(learn, migrations.RunPython.noop),
        migrations.AddIndex(
            "openrecord",
            models.Index(
                fields=["kind", "facility", "instrument", "year", "term_set", "id", "gone"], name="open_record_counted",
                condition=models.Q(gone=False),
            ),
        ),
    ]
