"""The commands of `steno` that ask a model for something else than text."""

from typing import Annotated

from cyclopts import Parameter

from jobs.exits import FINE
from jobs.options import AS_USUAL, Manner
from jobs.options_heads import Align, Embed, Label, Units


def label_inputs(
    options: Annotated[Label, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Label recordings with a classifier: the best labels with their scores, in the table's column `labels`.

    A long recording is labelled in pieces, whose scores are averaged by their seconds. With `--window-seconds 2
    --hop-seconds 1` every window becomes an entry of the column `segments` with its start, end and labels. Several
    labels may hold at once where the checkpoint says so; a regression gives all its values, in its own order.
    """
    from jobs import labelling, running

    return running.run(options, labelling.task(options), manner)


def align_inputs(
    options: Annotated[Align, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Lay reference texts onto their audio: when each word is said, how well it is heard, and the text's CTC loss.

    The texts come from the input (a manifest, a table, members beside the audio) or from `--references`. The words
    stand in `segments` with their times; `confidence` is how well a word is heard, and `aligned` is false for one that
    no token spells, such as digits: its times are shared out between its neighbours. `ctc_loss` is what the text costs,
    and `alignment` says whether it is longer or shorter than the audio. A recording without a text is skipped.
    """
    from jobs import aligning, running
    from jobs.journal import journal
    from pipeline.log import NOTICE, tell

    with journal(manner):
        code = running.run(options, aligning.task(options), manner, aligning.planning(options))
        if code == FINE and not manner.dry_run and (said := aligning.unsaid(options)):
            tell(said, level=NOTICE)
    return code


def embed_inputs(
    options: Annotated[Embed, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Turn recordings into vectors: the mean over their frames, in the table's column `embedding`.

    Any encoder will do, and any of its layers. With `--frames --layers 6 --layers 12 --frame-dtype float16` the frames
    of these layers are written beside the table: Parquet files under `frames/`, named in the column `frame_files` in
    the order of time, with a row for each frame, the second at which it begins, and a column for each layer.
    """
    from jobs import embedding, running

    return running.run(options, embedding.task(options), manner)


def units_of_inputs(
    options: Annotated[Units, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Turn recordings into discrete units: a number for each frame, in the table's column `units`.

    Frames of a layer are named by their nearest of `--clusters` centroids. These are fitted first, by k-means over a
    sample of the corpus, and kept in `units/centroids.npy` of the output. With `--codes` the units are a UniSpeech
    pre-training checkpoint's own: the codes of its books as one number. `--runs` writes what follows itself once.
    """
    from jobs import clustering, running

    return running.run(options, clustering.task(options), manner)
