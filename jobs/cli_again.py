"""Commands that add to an output: what is new, and what failed."""

from typing import Annotated

from cyclopts import Parameter

from jobs.options import AS_USUAL, Incremental, Manner, Retry


def transcribe_new_inputs(
    options: Annotated[Incremental, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Transcribe what is new or changed since the last time, and what that left undone.

    For a schedule: started twice for one --date it works once, and while one run writes another stops with exit
    code 3. Rows of files that are gone stay; of files that changed, the newest count.
    """
    from jobs import running

    return running.grow(options, manner)


def retry_failures(
    options: Annotated[Retry, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Try again what failed: an object that was missing, a store that was down, a decoder that is mended.

    The model and the options are those of the output's last run; where it runs now, and with how many models, is said
    anew. Of a tar or a Parquet file with failures, everything is read again.
    """
    from jobs import running

    return running.again(options, manner)
