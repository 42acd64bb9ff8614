"""What ends a run on its way, and is neither its input's fault nor its own."""


class UnfinishedError(Exception):
    """Storage or the engine cannot go on now. What is committed stands; the same command goes on."""
