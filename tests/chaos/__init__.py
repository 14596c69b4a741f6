"""Real processes under a steady load of orders while things are killed, frozen, cut off and filled up: `make chaos`."""
