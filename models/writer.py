"""What stands on Speech2Text's encoder: a decoder, bare or with the product that scores tokens."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.beams import Text, write
from models.decoder import Decoder, Memory, Past
from models.encoder import Encoder, encode
from models.generation import Rules
from models.heads import NoHead, Places, Reading
from models.layers.linear import Laid, Linear
from models.layers.packing import Packed
from models.protocol import (
    Embedding,
    Generation,
    HiddenStates,
    Labels,
    Loss,
    Output,
    Search,
    TokenLogits,
    Tokens,
)
from models.speech2text import Speech2TextConfig
from models.token_times import Floats, spans
from models.vocabulary import Vocabulary

IGNORED = -100
"""Labels that are no token, in the reference's spelling; all below zero are."""
READINGS = 320
"""Readings written at a time: enough to fill any device, few enough for their keys and values to stay small."""


class BareDecoder(nn.Module):
    """The decoder without a product: the encoder's frames are the output, as without a head."""

    search: type[Search] | None = None

    def __init__(self, config: Speech2TextConfig) -> None:
        super().__init__()
        self.bare = NoHead(config.d_model)
        self.start = config.decoder_start_token_id
        self.decoder = Decoder(config)

    def forward(self, encoder: Encoder, features: Packed) -> Reading:
        """Features -> hidden frames."""
        return self.bare(encoder, features)

    def output(self, reading: Reading, places: Places) -> HiddenStates:
        """Hidden frames: (clips, frames, width)."""
        return self.bare.output(reading, places)

    def predict(self, reading: Reading, search: Search | None = None) -> list[Embedding]:
        """The mean over each clip."""
        return self.bare.predict(reading)

    def empty(self) -> Embedding:
        """No frame, no mean."""
        return self.bare.empty()

    def nothing(self) -> Reading:
        """No frame."""
        return self.bare.nothing()

    def loss(self, output: Output, labels: Labels) -> Loss:
        """Without scores there is none."""
        raise ValueError("this checkpoint is a bare encoder and decoder: it scores no tokens, so there is no loss")

    def teach(self, reading: Reading, places: Places, ids: Labels) -> TokenLogits:
        """The decoder's last states for given tokens."""
        rows = _rows(ids, self.decoder.embed.num_embeddings, len(places.lengths))
        states = _states(self.decoder, reading[0], [rows[clip] for clip in places.read])
        return _taught(states, [rows[clip] for clip in places.read], places)


class Writer(nn.Module):
    """The decoder, its product, and the search for a text."""

    search: type[Search] | None = Generation

    def __init__(self, config: Speech2TextConfig, rules: Rules) -> None:
        super().__init__()
        self.config, self.rules = config, rules
        self.decoder = Decoder(config)
        tied = config.tie_word_embeddings
        self.project = None if tied else Linear(config.d_model, config.vocab_size, bias=False)
        self.laid = Laid()
        self.vocabulary: Vocabulary | None = None
        """What tokens write: one of many letters lasts longer."""

    def forward(self, encoder: Encoder, features: Packed) -> Reading:
        """Features -> hidden frames."""
        return (encode(encoder, features),)

    def output(self, reading: Reading, places: Places) -> HiddenStates:
        """Hidden frames: (clips, frames, width)."""
        return HiddenStates(places.frames(reading[0]).float(), places.lengths)

    def predict(
        self, reading: Reading, search: Search | None = None, loud: Sequence[Floats] | None = None
    ) -> list[Tokens]:
        """The text of each clip, its tokens in their places. `loud` is the share of each frame that is not quiet."""
        rules = self.rules.told(search) if isinstance(search, Generation) else self.rules
        clips, at_once = reading[0].clips(), max(1, READINGS // rules.beams)
        tokens: list[Tokens] = []
        for start in range(0, len(clips), at_once):
            some = clips[start : start + at_once]
            shares = [np.ones(len(clip)) for clip in some] if loud is None else loud[start : start + at_once]
            tokens += self._write(Packed(torch.cat(some), tuple(map(len, some))), rules, shares)
        return tokens

    def empty(self) -> Tokens:
        """No frame, no token."""
        none = np.empty(0, np.int32)
        return Tokens(none, none, none, np.empty(0, np.float32))

    def nothing(self) -> Reading:
        """No frame."""
        return (Packed(torch.empty(0, self.config.d_model), ()),)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """Cross-entropy of each clip's tokens, the one that ends the text among them and the one that begins it not.

        Per clip it is their sum; reduced, the mean over all tokens. Ids below zero are padding; a clip without a
        frame costs nothing.
        """
        assert isinstance(output, HiddenStates)
        rows = _rows(labels, self.config.vocab_size, len(output.lengths))
        read = output.lengths.nonzero()[:, 0].tolist()
        if not read:
            raise ValueError("no clip has a frame, so there is nothing to compare with the labels")
        frames = [output.hidden[clip, : int(output.lengths[clip])] for clip in read]
        hidden = Packed(torch.cat(frames).to(self._weight.dtype), tuple(map(len, frames)))
        targets = _padded([rows[clip] for clip in read], IGNORED).to(hidden.values.device)
        scores = self._score(_states(self.decoder, hidden, list(self._shifted(targets))))
        costs = F.cross_entropy(scores.transpose(1, 2), targets.where(targets >= 0, IGNORED), reduction="none").sum(1)
        per_clip = costs.new_zeros(len(rows)).index_copy(0, torch.tensor(read, device=costs.device), costs)
        return Loss(per_clip, costs.sum() / (targets >= 0).sum().clamp_min(1))

    def teach(self, reading: Reading, places: Places, ids: Labels) -> TokenLogits:
        """Logits of each given token's successor."""
        rows = _rows(ids, self.config.vocab_size, len(places.lengths))
        read = [rows[clip] for clip in places.read]
        return _taught(self._score(_states(self.decoder, reading[0], read)), read, places)

    def _tempered(self, text: Text, states: Tensor, temperature: float) -> Text:
        """The same text, its posteriors taken at a temperature."""
        posteriors = (self._score(states[: len(text.ids)]) / temperature).softmax(-1)
        return replace(text, posteriors=posteriors.gather(1, text.ids[:, None])[:, 0])

    def _letters(self, token: int) -> float:
        """What a token writes; half a letter, for what is not heard."""
        return 1.0 if self.vocabulary is None else len(self.vocabulary.surface(token).strip()) or 0.5

    @property
    def _weight(self) -> Tensor:
        return self.decoder.embed.weight if self.project is None else self.project.weight

    def _score(self, states: Tensor) -> Tensor:
        return self.laid.linear(states, self._weight).float()

    def _shifted(self, targets: Tensor) -> Tensor:
        """What each target follows: (clips, tokens)."""
        start = targets.new_full((len(targets), 1), self.config.decoder_start_token_id)
        before = torch.cat([start, targets[:, :-1]], 1)
        return before.where(before >= 0, self.config.pad_token_id)

    def _write(self, hidden: Packed, rules: Rules, loud: Sequence[Floats]) -> list[Tokens]:
        device = hidden.values.device
        whole = memory = self.decoder.remember(hidden)
        past = Past(len(hidden.lengths), rules.beams, device)

        def step(tokens: Tensor, parents: Tensor | None) -> Tensor:
            if parents is not None:
                past.follow(parents)
            return self._score(self.decoder.step(tokens, past, memory))

        def keep(clips: Tensor) -> None:
            nonlocal memory
            memory = memory.keep(clips)
            past.keep(clips)

        texts = write(step, keep, len(hidden.lengths), rules, device)
        return self._timed(texts, loud, whole, rules)

    def _timed(self, texts: Sequence[Text], loud: Sequence[Floats], memory: Memory, rules: Rules) -> list[Tokens]:
        """Each text without what begins and ends it, every token in its frames."""
        inputs = [F.pad(text.ids[:-1], (1, 0), value=rules.start) for text in texts]
        states, looks = self.decoder(_padded(inputs, self.config.pad_token_id), memory)
        if rules.temperature != 1:
            texts = [self._tempered(*each, rules.temperature) for each in zip(texts, states, strict=True)]
        tokens = []
        for text, shares, clip in zip(texts, loud, _attention(looks), strict=True):
            written = text.ids.tolist()
            starts, ends = spans(clip[: len(written), : len(shares)], [self._letters(i) for i in written], shares)
            kept = _spoken(written, rules)
            ids, posteriors = text.ids[kept].cpu().numpy(), text.posteriors[kept].cpu().numpy()
            tokens.append(Tokens(ids.astype(np.int32), starts[kept], ends[kept], posteriors.astype(np.float32)))
        return tokens


def _attention(looks: Sequence[Tensor]) -> Tensor:
    """What each token looked at, by the mean of all heads in the later half of the layers: (clips, tokens, frames)."""
    later = looks[len(looks) // 2 :]
    return torch.stack([layer.float().mean(1) for layer in later]).mean(0).cpu()


def _spoken(ids: Sequence[int], rules: Rules) -> slice:
    """The tokens between what was forced at the beginning and what ends the text."""
    first = 1 if rules.first is not None and ids and ids[0] == rules.first else 0
    return slice(first, len(ids) - 1 if ids and ids[-1] in rules.ends else len(ids))


def _rows(ids: Labels, size: int, clips: int) -> list[Tensor]:
    """Token ids, one sequence per clip."""
    rows = [torch.as_tensor(row) for row in ids]
    if len(rows) != clips:
        raise ValueError(f"{len(rows)} token sequences for {clips} clips")
    for row in rows:
        if row.ndim != 1 or (row.numel() and row.is_floating_point()):
            raise ValueError("tokens are one sequence of whole numbers per clip")
        if row.numel() and int(row.max()) >= size:
            raise ValueError(f"token {int(row.max())} is not below the vocabulary's size {size}")
    return [row.long() for row in rows]


def _padded(rows: Sequence[Tensor], fill: int) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=fill)


def _states(decoder: Decoder, hidden: Packed, rows: Sequence[Tensor]) -> Tensor:
    """The decoder's states for given tokens: (clips, longest, width)."""
    if not rows:
        return decoder.embed.weight.new_zeros(0, 0, decoder.embed.embedding_dim)
    ids = _padded(rows, decoder.pad).to(hidden.values.device)
    return decoder(ids, decoder.remember(hidden))[0]


def _taught(values: Tensor, rows: Sequence[Tensor], places: Places) -> TokenLogits:
    lengths = torch.zeros_like(places.lengths)
    lengths[list(places.read)] = torch.tensor([len(row) for row in rows], dtype=torch.long)
    clips = [value[: len(row)].float() for value, row in zip(values, rows, strict=True)]
    joined = torch.cat(clips) if clips else values.new_zeros(0, values.shape[-1], dtype=torch.float32)
    return TokenLogits(Places(places.read, lengths).frames(Packed(joined, tuple(map(len, clips)))), lengths)
