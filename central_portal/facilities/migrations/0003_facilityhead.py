from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("facilities", "0002_session")]

    operations = [
        migrations.CreateModel(
            name="FacilityHead",
            fields=[
                ("slug", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("sequence", models.PositiveBigIntegerField(default=0)),
                ("hash", models.CharField(blank=True, max_length=64)),
                ("said_at", models.FloatField(null=True)),
                ("complaint", models.CharField(blank=True, max_length=200)),
                ("complained_at", models.FloatField(null=True)),
            ],
        ),
    ]
