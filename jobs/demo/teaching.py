"""What a batch of speech costs each kind of model.

Beside its own objective every one is told, more and more softly, which phoneme is heard at each frame: that is known
because the speech is synthetic, it is what makes a model of raw waveforms learn within minutes, and it keeps a
token's frames where its sound is.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jobs.demo.lessons import TRACK_HOP, UNKNOWN, Lesson
from jobs.demo.spelling import Letters, Pieces, Translation
from models.encoder import encode
from models.heads import CtcHead, Places
from models.layers.packing import Packed
from models.model import SpeechModel
from models.writer import Writer


class Listener(nn.Module):
    """Names the phoneme of each frame."""

    def __init__(self, width: int, phonemes: int) -> None:
        super().__init__()
        self.name = nn.Linear(width, phonemes)

    def cost(self, model: SpeechModel, frames: Tensor, lesson: Lesson) -> Tensor:
        """Of the phonemes, per frame."""
        track = torch.from_numpy(lesson.phonemes)[:, places(model, frames.shape[1], lesson.phonemes.shape[1])]
        return F.cross_entropy(self.name(frames).flatten(0, 1), track.flatten(), ignore_index=UNKNOWN)


class CtcTeacher(nn.Module):
    """For models that spell by frames."""

    def __init__(self, model: SpeechModel, spelling: Letters | Pieces, phonemes: int) -> None:
        super().__init__()
        self.spelling = spelling
        self.listener = Listener(model.encoder.width, phonemes)

    def cost(self, model: SpeechModel, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Of the text, per letter, and of the phonemes."""
        frames = hidden_frames(model, lesson).padded()
        texts = [self.spelling.ids(text) for text in lesson.texts]
        spelt = spelling_cost(cast(CtcHead, model.head).project(frames), texts, blank=0)
        return spelt, self.listener.cost(model, frames, lesson)


class WriterTeacher(nn.Module):
    """For models with a decoder: its cross-entropy, and half as much for spelling by the encoder's frames."""

    def __init__(self, model: SpeechModel, spelling: Translation, phonemes: int) -> None:
        super().__init__()
        self.spelling = spelling
        self.listener = Listener(model.encoder.width, phonemes)
        self.project = nn.Linear(model.encoder.width, len(spelling.pieces))

    def cost(self, model: SpeechModel, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Of the text, per token, and of the phonemes."""
        hidden = hidden_frames(model, lesson)
        frames = hidden.padded()
        texts = [self.spelling.ids(text) for text in lesson.texts]
        spelt = spelling_cost(self.project(frames), [text[:-1] for text in texts], blank=self.spelling.pad)
        whole = Places(tuple(range(len(texts))), torch.tensor(hidden.lengths))
        head = cast(Writer, model.head)
        written = head.loss(head.output((hidden,), whole), texts).reduced
        return written + 0.5 * spelt, self.listener.cost(model, frames, lesson)


class KeywordTeacher(nn.Module):
    """For the classifier: which word it was."""

    def cost(self, model: SpeechModel, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Of the word; phonemes cost nothing."""
        batch = model.frontend(list(lesson.samples))
        scores = model.head(model.encoder, model.encoder.extract(batch.inputs, batch.lengths.tolist()))[0].values
        words = torch.tensor([model.labels.index(text) for text in lesson.texts])
        return F.cross_entropy(scores, words), scores.new_zeros(())


def hidden_frames(model: SpeechModel, lesson: Lesson) -> Packed:
    """The encoder's frames of a whole batch, all of one length."""
    batch = model.frontend(list(lesson.samples))
    return encode(model.encoder, model.encoder.extract(batch.inputs, batch.lengths.tolist()))


def spelling_cost(scores: Tensor, texts: list[list[int]], blank: int) -> Tensor:
    """Connectionist temporal classification of (clips, frames, classes), per letter."""
    counts = torch.tensor([len(text) for text in texts])
    targets = torch.cat([torch.tensor(text) for text in texts])
    frames = torch.full((len(texts),), scores.shape[1])
    spelt = scores.log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(spelt, targets, frames, counts, blank, zero_infinity=True)


def places(model: SpeechModel, frames: int, steps: int) -> Tensor:
    """The step of a phoneme track at the middle of each frame."""
    shape, hop = model.encoder.shape, model.frontend.hop
    window = 1 if hop == 1 else WINDOW
    centred = isinstance(model.head, Writer)  # its convolutions are padded: a frame is in the middle of what it sees
    first = window // 2 if centred else ((shape.field - 1) * hop + window) // 2
    return ((torch.arange(frames) * shape.stride * hop + first) // TRACK_HOP).clamp_max(steps - 1)


WINDOW = 400
"""Samples that a frame of features sees."""
