"""Parquet tables with a column of audio: bytes, `struct<bytes, path>` as `datasets` writes it, or paths.

A recording's id is its row in the file, so that it is the same however the file is split.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.inputs.containers import audio_columns
from pipeline.inputs.paths import folder_of, resolve
from pipeline.inputs.rows import Json, extra_of
from pipeline.schema import Failure, Recording, Span
from pipeline.sources.blame import blame
from pipeline.sources.containers import Container, container, numbered
from pipeline.sources.fetch import fetched
from pipeline.storage import StoreError, open_input
from pipeline.stores.errors import reading

ROWS = 16
"""Rows that are unpacked at once."""
BUFFER = 1 << 20
"""Bytes of a column that are read at once."""


def read(rows: pa.Table) -> Iterator[Recording]:
    """Yield a recording per row of the file, or of one row group of it."""
    return fetched((recording, None) for recording in numbered(_read(container(rows))))


def _read(box: Container) -> Iterator[Recording]:
    first = at = promised = 0
    try:
        with (
            reading(box.uri),
            open_input(box.uri) as file,
            pq.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False) as table,
        ):
            groups = range(table.num_row_groups) if box.row_group is None else [box.row_group]
            sizes = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
            first = at = sum(sizes[: groups[0]]) if groups else 0
            promised = sum(sizes[group] for group in groups)
            columns = audio_columns(table.schema_arrow, box.said("audio"), box.said("reference"))
            if columns[0] is None:
                yield box.failed(f"{at}-", Failure("NoAudio", "sources", f"{box.uri} has no column of audio"))
                return
            for batch in table.iter_batches(ROWS, row_groups=groups):
                for values in _values(batch, columns):
                    yield _recording(box, at, values, columns)
                    at += 1
        if at - first < box.planned:
            message = f"{box.uri} had {box.planned:,} rows here when it was planned, and has {at - first:,} now"
            yield box.failed(f"{at}-", Failure("Changed", "sources", message))
    except StoreError as error:
        yield box.failed(f"{at}-", blame(error))
    except (OSError, ValueError, pa.ArrowException) as error:
        message = f"{box.uri} cannot be read from row {at} on, of {first + promised}: {error}"
        yield box.failed(f"{at}-", Failure("Truncated", "sources", message))


def _values(batch: pa.RecordBatch, columns: tuple[str | None, str | None]) -> list[dict[str, Json]]:
    """The rows as values; where Python has none for a column (a date of the year 10000), without the columns beside."""
    try:
        return batch.to_pylist()
    except (ValueError, OverflowError):
        pass
    try:
        return batch.select([name for name in columns if name]).to_pylist()
    except (ValueError, OverflowError):
        return batch.select(columns[:1]).to_pylist()


def _recording(
    box: Container, at: int, values: Mapping[str, Json], columns: tuple[str | None, str | None]
) -> Recording:
    column, told = columns
    sound = values[column or ""]
    audio = _audio(box, sound)
    said = values.get(told or "")
    rest = {name: _text(value) for name, value in values.items() if not isinstance(value, bytes)}
    rest[column or ""] = sound.get("path") if isinstance(sound, Mapping) else sound if isinstance(sound, str) else None
    extra = extra_of({name: value for name, value in rest.items() if value is not None}, (told or "",))
    reference = said if isinstance(said, str) else None
    if isinstance(audio, Failure):
        return replace(box.failed(str(at), audio), reference=reference, extra=extra)
    return Recording(box.shard, 0, f"{box.prefix}/{at}", f"{box.uri}#{at}", audio, reference=reference, extra=extra)


def _text(value: Json) -> Json:
    """A value without the bytes in it: of a picture beside the audio, its path."""
    if isinstance(value, Mapping):
        return {name: _text(part) for name, part in value.items() if not isinstance(part, bytes)}
    if isinstance(value, list | tuple):  # of a map, pairs
        return [_text(part) for part in value if not isinstance(part, bytes)]
    return value


def _audio(box: Container, sound: object) -> bytes | Span | Failure:
    """The bytes, or where the path leads that stands instead of them."""
    if isinstance(sound, Mapping):
        sound = sound.get("path") if sound.get("bytes") is None else sound["bytes"]
    if isinstance(sound, bytes):
        return sound
    if not isinstance(sound, str):
        return Failure("NoAudio", "sources", "the row has no audio")
    roots = box.inside.get("roots")
    named = [root for root in roots if isinstance(root, str)] if isinstance(roots, list) else []
    place = resolve(sound, folder_of(box.uri), named)
    return Failure(place.kind, "sources", place.message) if isinstance(place, Failure) else Span(place)
