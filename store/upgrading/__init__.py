"""From the format of a former release to this one's."""
