"""How the demo's models write: letters for those that read waveforms, short pieces for the others.

Each comes with the vocabulary files that published checkpoints of its kind have.
"""

import io
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import sentencepiece

from jobs.demo.grammar import training_sentences

PIECES = 160
"""Size of the piece vocabulary, special ones included."""
SPECIAL = 3
"""Ids before the first piece: blank or padding, the end, the unknown."""
SENTENCES = 8000
"""That the pieces are learned from."""


@dataclass(frozen=True)
class Letters:
    """One id per letter, as wav2vec 2.0's tokenizer has it."""

    pieces: tuple[str, ...] = ("<pad>", "<s>", "</s>", "<unk>", "|", "'", *"abcdefghijklmnopqrstuvwxyz")

    def ids(self, text: str) -> list[int]:
        """Text as ids."""
        return [self.pieces.index("|" if letter == " " else letter) for letter in text]

    def write(self, folder: Path) -> None:
        """The vocabulary files."""
        _write(folder / "vocab.json", {piece: i for i, piece in enumerate(self.pieces)})
        _write(folder / "tokenizer_config.json", {"tokenizer_class": "Wav2Vec2CTCTokenizer"} | _LETTERS_SETTINGS)


_LETTERS_SETTINGS = {
    "pad_token": "<pad>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "word_delimiter_token": "|",
    "do_lower_case": False,
}


@dataclass(frozen=True)
class Pieces:
    """Parts of words, learned from the grammar's sentences by sentencepiece; the blank is id 0."""

    seed: int = 0
    """Of the sentences."""

    @cached_property
    def model(self) -> bytes:
        """The sentencepiece model."""
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=islice(training_sentences(self.seed), SENTENCES),
            model_writer=model,
            model_type="unigram",
            vocab_size=PIECES,
            character_coverage=1.0,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            max_sentencepiece_length=4,
            num_threads=1,
            minloglevel=2,
        )
        return model.getvalue()

    @cached_property
    def processor(self) -> sentencepiece.SentencePieceProcessor:
        """The model, ready to cut text."""
        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    @property
    def pieces(self) -> tuple[str, ...]:
        """One per id."""
        return tuple(self.processor.id_to_piece(i) for i in range(PIECES))

    def ids(self, text: str) -> list[int]:
        """Text as ids."""
        return [int(i) for i in self.processor.encode(text)]

    def write(self, folder: Path) -> None:
        """The vocabulary files of LASR."""
        special = [_special(i, self.pieces[i]) for i in range(SPECIAL)]
        scores = [[piece, self.processor.get_score(i)] for i, piece in enumerate(self.pieces)]
        space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
        _write(
            folder / "tokenizer.json",
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": special,
                "normalizer": None,
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
                "post_processor": None,
                "decoder": space,
                "model": {"type": "Unigram", "unk_id": 2, "vocab": scores, "byte_fallback": False},
            },
        )
        _write(
            folder / "tokenizer_config.json",
            {
                "tokenizer_class": "LasrTokenizer",
                "pad_token": "<pad>",
                "eos_token": "</s>",
                "unk_token": "<unk>",
                "extra_ids": 0,
            },
        )


@dataclass(frozen=True)
class Translation:
    """The same pieces behind Speech2Text's four special ids; every text ends with `</s>`."""

    inner: Pieces = Pieces()
    pad: int = 1
    end: int = 2

    @property
    def pieces(self) -> tuple[str, ...]:
        """One per id."""
        return ("<s>", "<pad>", "</s>", "<unk>", *self.inner.pieces[SPECIAL:])

    def ids(self, text: str) -> list[int]:
        """Text as ids, with the one that ends it."""
        return [*(piece - SPECIAL + 4 for piece in self.inner.ids(text)), self.end]

    def write(self, folder: Path) -> None:
        """The vocabulary files of Speech2Text."""
        _write(folder / "vocab.json", {piece: i for i, piece in enumerate(self.pieces)})
        (folder / "sentencepiece.bpe.model").write_bytes(self.inner.model)
        names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
        _write(folder / "tokenizer_config.json", {"tokenizer_class": "Speech2TextTokenizer", **names})


def _special(i: int, content: str) -> dict[str, object]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": i, "content": content, "special": True, **flags}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
