"""The command of `steno` that writes a finished table in other programs' formats."""

from typing import Annotated

from cyclopts import Parameter

from jobs.options_export import Export
from jobs.options_tables import PLAINLY, Telling


def export_table(
    options: Annotated[Export, Parameter("*")], telling: Annotated[Telling, Parameter("*")] = PLAINLY
) -> int:
    """Write a finished table as subtitles, for Praat, for scorers, for training, or for spreadsheets.

    Under --to each format has its folder: `srt/<recording_id>.srt`, `ctm/part-00000.ctm`, `dataset/` and so on.
    Where recordings have several channels, each is a voice, a tier or a speaker of its own. Recordings that failed
    have no text: csv and dataset name them. A nemo manifest names audio files: what lies inside tars or Parquet files
    is left out of it, and counted.

    What an earlier export of the same format left there is replaced: its files that do not belong any more are removed.
    Files that this program did not write, or that were changed since, are not touched, unless a new one has their name.
    """
    from jobs import exporting, saying

    return saying.say(lambda: exporting.export(options), telling)
