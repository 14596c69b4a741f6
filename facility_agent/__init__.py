"""The facility's side of Parasol: agent and gateway. Imports nothing of the centre."""
