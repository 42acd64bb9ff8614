"""A loaded model: front end, encoder and head behind one set of verbs.

On a CPU a batch is read in groups of clips that fill the cores but stay in cache, packed and without padding; on an
accelerator it is read at once. Which clips share a group changes nothing but speed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from models.alignment import Alignment, Sound, align
from models.calibration import AS_PUBLISHED, Calibration
from models.clock import Clock, Whole, make_clock
from models.encoder import Encoder
from models.frontend import Frontend
from models.heads import CtcHead, Head, Places, Reading
from models.hush import LEAST_SECONDS, find_quiet, loud_shares
from models.layers import packing
from models.layers.packing import Packed
from models.protocol import (
    FrameLogits,
    Generation,
    Labels,
    LayerStates,
    Loss,
    Output,
    Padded,
    Prediction,
    Refused,
    Samples,
    Search,
    TokenLogits,
    Tokens,
)
from models.transcript import PAUSE_SECONDS, Scribe, Transcript
from models.vocabulary import Vocabulary
from models.word_times import REACH_SECONDS
from models.writer import BareDecoder, Writer

GROUP_FRAMES = 768
"""Frames that make a product worth its weights' way from memory; many more would only leave the cache."""


class SpeechModel(nn.Module):
    """One checkpoint, ready to read clips."""

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        frontend: Frontend,
        *,
        architecture: str,
        vocabulary: Vocabulary | None,
        labels: tuple[str, ...],
        calibration: Calibration = AS_PUBLISHED,
    ) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.frontend = frontend
        self.architecture = architecture
        """The published class name."""
        self.vocabulary = vocabulary
        """Ids to text, where the checkpoint has a vocabulary."""
        if isinstance(head, CtcHead | Writer):
            head.vocabulary = vocabulary
        self.labels = labels
        """Names of a classifier's scores, in order."""
        self.calibration = calibration
        """How late it writes and how sure it is, where that was measured."""

    @property
    def sample_rate(self) -> int:
        """Samples per second that clips must have."""
        return self.frontend.sample_rate

    @property
    def seconds_per_frame(self) -> float:
        """Seconds from one hidden frame to the next."""
        return self.frontend.hop * self.encoder.shape.stride / self.sample_rate

    @property
    def clock(self) -> Clock:
        """When each hidden frame is, in whole samples."""
        return make_clock(self.encoder.shape, self.frontend.hop, self.frontend.window)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, batch: Padded) -> Output:
        """What the head says, padded."""
        reading, places = self._read(batch)
        return self.head.output(reading, places)

    @torch.inference_mode()
    def predict(self, batch: Padded, search: Search | None = None) -> list[Prediction]:
        """One prediction per clip: empty for a clip too short for a frame, `Refused` for one that was refused."""
        if search is not None and (self.head.search is None or not isinstance(search, self.head.search)):
            raise ValueError(f"{self.architecture} cannot be searched with {type(search).__name__}")
        predictions: list[Prediction] = [
            self.head.empty() if refusal is None else Refused(refusal) for refusal in self._refusals(batch)
        ]
        told = self._told(search)
        reading, places = self._read(batch)
        if not places.read:
            return predictions
        if self.head.search is None:
            found = self.head.predict(reading, told)
        else:
            quiet = self.quiet(batch)
            found = self._spelled(reading, told, [quiet[clip] for clip in places.read])
        for index, prediction in zip(places.read, found, strict=True):
            predictions[index] = prediction
        return predictions

    def _spelled(self, reading: Reading, search: Search | None, quiet: Sequence[Whole]) -> list[Prediction]:
        """Predictions that know where their clips are quiet."""
        if isinstance(self.head, Writer):
            frames = zip(quiet, reading[0].lengths, strict=True)
            loud = [loud_shares(each, self.clock, count) for each, count in frames]
            found: Sequence[Prediction] = self.head.predict(reading, search, loud)
        else:
            found = self.head.predict(reading, search)
        pairs = zip(found, quiet, strict=True)
        return [replace(one, quiet=each) if isinstance(one, Tokens) else one for one, each in pairs]

    def transcribe(
        self,
        clips: Sequence[Samples],
        search: Search | None = None,
        pause_seconds: float = PAUSE_SECONDS,
        delay_seconds: float | None = None,
    ) -> list[Transcript | Refused]:
        """What is said in each clip: words with times, in segments between pauses of `pause_seconds` or more.

        `delay_seconds` is how late the checkpoint writes what it hears, where that is not what its calibration says.
        """
        scribe = self.scribe(pause_seconds, delay_seconds)
        predictions = zip(self.predict(self.frontend(clips), search), clips, strict=True)
        return [
            scribe.transcript(tokens, len(clip)) if isinstance(tokens, Tokens) else _refused(tokens)
            for tokens, clip in predictions
        ]

    def scribe(self, pause_seconds: float = PAUSE_SECONDS, delay_seconds: float | None = None) -> Scribe:
        """What turns this model's tokens into transcripts; a model that cannot write is told here."""
        if self.head.search is None:
            raise ValueError(f"{self.architecture} does not write text: a checkpoint with a CTC head or a decoder does")
        if self.vocabulary is None:
            raise ValueError(
                "this checkpoint has no vocabulary, so its tokens are numbers: put the published vocab.json, "
                "tokenizer.json or .model file beside config.json"
            )
        reach, pause = (round(seconds * self.sample_rate) for seconds in (REACH_SECONDS, pause_seconds))
        delay = self.calibration.delay_seconds if delay_seconds is None else delay_seconds
        clock = replace(self.clock, first=self.clock.first - round(delay * self.sample_rate))
        return Scribe(self.vocabulary, clock, reach, pause)

    def align(
        self, batch: Padded, texts: Sequence[str], delay_seconds: float | None = None
    ) -> list[Alignment | Refused]:
        """Each text laid onto its clip: words with times and scores, and what the whole text costs."""
        scribe = self.scribe(delay_seconds=delay_seconds)
        if not isinstance(self.head, CtcHead):
            raise ValueError(f"{self.architecture} has no CTC head, which alignment needs")
        if len(texts) != len(batch.lengths):
            raise ValueError(f"{len(texts)} texts for {len(batch.lengths)} clips; one each is needed")
        with torch.inference_mode():
            output = self(batch)
        assert isinstance(output, FrameLogits)
        inputs = [int(length) for length in batch.lengths]
        samples = [(n - 1) * self.frontend.hop + self.frontend.window if n else 0 for n in inputs]
        sounds = [Sound(n, quiet) for n, quiet in zip(samples, self.quiet(batch), strict=True)]
        aligned = align(output, texts, sounds, scribe, self.head.config.pad_token_id)
        return [
            alignment if refusal is None else Refused(refusal)
            for alignment, refusal in zip(aligned, batch.refusals, strict=True)
        ]

    def quiet(self, batch: Padded) -> list[Whole]:
        """Where nothing is heard in each clip: (stretches, 2) samples."""
        return find_quiet(self.frontend.loudness(batch), round(LEAST_SECONDS * self.sample_rate))

    def hidden_states(self, batch: Padded) -> LayerStates:
        """Every state of the encoder, padded."""
        places = self._places(batch)
        groups = [self._states(self._features(batch, indices)) for indices in self._groups(places)]
        if not groups:
            nothing = torch.zeros(len(places.lengths), 0, self.encoder.width)
            return LayerStates((nothing,) * (self.encoder.depth + 1), places.lengths)
        lengths = places.lengths.clone()
        layers = [_joined(states) for states in zip(*groups, strict=True)]
        lengths[list(places.read)] = torch.tensor(layers[0].lengths)
        at_layers = Places(places.read, lengths)
        return LayerStates(tuple(at_layers.frames(layer) for layer in layers), lengths)

    @torch.inference_mode()
    def vectors(self, batch: Padded, layers: Sequence[int | None]) -> list[tuple[Tensor, ...] | Refused]:
        """Each clip's frames (frames, width) at chosen layers, numbered as by `hidden_states`; None is what heads read.

        On the CPU, and nothing is computed beyond the last layer that is asked for.
        """
        places = self._places(batch)
        nothing = torch.zeros(0, self.encoder.width)
        found: list[tuple[Tensor, ...] | Refused] = [
            (nothing,) * len(layers) if refusal is None else Refused(refusal) for refusal in self._refusals(batch)
        ]
        for indices in self._groups(places):
            chosen = self._chosen(self._features(batch, indices), layers)
            for index, clip in zip(indices, zip(*(layer.clips() for layer in chosen), strict=True), strict=True):
                found[index] = tuple(layer.float().cpu() for layer in clip)
        return found

    def layer_clock(self, layer: int | None) -> Clock:
        """When the frames of a layer are: some encoders see several frames as one."""
        clock = self.clock
        return clock if layer is None else replace(clock, step=clock.step * self.encoder.squeeze)

    def loss(self, batch: Padded, labels: Labels) -> Loss:
        """What the head's output costs against labels."""
        return self.head.loss(self(batch), labels)

    def _told(self, search: Search | None) -> Search | None:
        """A search that says all that this model needs to hear."""
        if self.head.search is None:
            return None
        asked = search or self.head.search()
        if asked.temperature is None:
            asked = replace(asked, temperature=self.calibration.temperature)
        return self._in_ids(asked) if isinstance(asked, Generation) else asked

    def _in_ids(self, search: Generation) -> Generation:
        """A search whose language is the id that asks for it."""
        if search.language is None:
            return search
        known = {} if self.vocabulary is None else self.vocabulary.languages
        if search.language in known:
            return replace(search, first=known[search.language], language=None)
        if known:
            raise ValueError(f"language is {search.language!r}; this checkpoint writes: {', '.join(sorted(known))}")
        raise ValueError(
            f"language is {search.language!r}, but this checkpoint's vocabulary has no languages: leave it out"
        )

    def teach(self, batch: Padded, ids: Labels) -> TokenLogits:
        """What the decoder says of each given token's successor: `ids` begin with the token that begins a text."""
        if not isinstance(self.head, Writer | BareDecoder):
            raise ValueError(f"{self.architecture} has no decoder to teach")
        return self.head.teach(*self._read(batch), ids)

    def _refusals(self, batch: Padded) -> list[str | None]:
        """Why clips are not read: what the front end found, or their length."""
        return [
            refusal or self._too_long(int(inputs))
            for refusal, inputs in zip(batch.refusals, batch.lengths, strict=True)
        ]

    def _too_long(self, inputs: int) -> str | None:
        longest = self.encoder.longest
        if longest is None or inputs <= longest:
            return None
        seconds = self.frontend.hop / self.sample_rate
        return (
            f"it lasts {inputs * seconds:.1f} s, and the model was made for {longest * seconds:.1f} s at most "
            f"(max_source_positions {longest}): cut it"
        )

    def _chosen(self, features: Packed, layers: Sequence[int | None]) -> list[Packed]:
        last = self.encoder.depth if None in layers else max(layer for layer in layers if layer is not None)
        x, kept = self.encoder.embed(features), dict[int | None, Packed]()
        for number, state in enumerate(islice(self.encoder.states(x), last + 1)):
            x = state
            if number in layers:
                kept[number] = x
        if None in layers:
            kept[None] = self.encoder.finish(x, features)
        return [kept[layer] for layer in layers]

    def _states(self, features: Packed) -> list[Packed]:
        states = self.encoder.states(self.encoder.embed(features))
        return [state.of(state.values.float()) for state in states]

    def _read(self, batch: Padded) -> tuple[Reading, Places]:
        places = self._places(batch)
        groups = [self.head(self.encoder, self._features(batch, i)) for i in self._groups(places)]
        if not groups:
            return self.head.nothing(), places
        return tuple(_joined(parts) for parts in zip(*groups, strict=True)), places

    def _places(self, batch: Padded) -> Places:
        lengths = [0 if self._too_long(inputs) else inputs for inputs in batch.lengths.tolist()]
        frames = torch.tensor([self.encoder.frames(inputs) for inputs in lengths], dtype=torch.long)
        return Places(tuple(frames.nonzero()[:, 0].tolist()), frames)

    def _groups(self, places: Places) -> Iterator[tuple[int, ...]]:
        """Indices of clips to read together."""
        if not packing.fills(self.device):
            yield from [places.read] if places.read else []
            return
        group: list[int] = []
        frames = 0
        for index in places.read:
            group.append(index)
            frames += int(places.lengths[index])
            if frames >= GROUP_FRAMES:
                yield tuple(group)
                group, frames = [], 0
        if group:
            yield tuple(group)

    def _features(self, batch: Padded, indices: Sequence[int]) -> Packed:
        lengths = batch.lengths[list(indices)].tolist()
        inputs = batch.inputs[list(indices), : max(lengths)].to(self.device)
        return self.encoder.extract(inputs, lengths)


def _refused(prediction: Prediction) -> Refused:
    assert isinstance(prediction, Refused)
    return prediction


def _joined(parts: Sequence[Packed]) -> Packed:
    values: Tensor = torch.cat([part.values for part in parts])
    return Packed(values, tuple(length for part in parts for length in part.lengths))
