"""Named limits of the metrics API. Seconds unless the name says otherwise."""

RESOLUTION_SECONDS = 10.0
"""What a node said is good for so long; whoever asks later has the node asked again."""

OLDEST_SECONDS = 120.0
"""An earlier reading is compared with for so long; a container that is younger is compared with its own start."""

PAUSE_SECONDS = 1.0
"""The pause between two readings where nothing earlier is known."""

SCRAPE_SECONDS = 5.0
"""How long a node may take to answer."""

PARALLEL_SCRAPES = 32
FORGET_SECONDS = 600.0
"""A node that nobody asks about is forgotten after this long."""
