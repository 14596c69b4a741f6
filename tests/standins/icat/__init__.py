"""A stand-in for icat.server 6: its REST door, its own Rule table, and the part of its query language that is met."""
