"""Facilities as the centre knows them: who may connect, what each says of itself, and since when."""
