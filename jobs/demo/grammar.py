"""Sentences for the demo's speech: a small harbour town, its ferries, weather, market, court and kitchen.

A sentence belongs to the corpus or to training by its own text, so that the two never meet, whatever the seed.
"""

import random
import re
import zlib
from collections.abc import Iterator, Mapping

SHARE_HELD_OUT = 8
"""One sentence in this many is never trained on."""

RULES: Mapping[str, tuple[str, ...]] = {
    "sentence": (
        *("{radio}", "{weather}", "{ferry}", "{order}", "{court}", "{home}", "{question}") * 3,
        "{weather} and {ferry}",
        "{ferry} because {weather}",
        "{home} but {home}",
    ),
    "radio": (
        "{greeting} harbour control this is the {ship}",
        "harbour control this is the {ship} we need {help}",
        "{ship} this is harbour control please {manoeuvre}",
        "{ship} you may {manoeuvre} after the {ship} has left",
        "the {ship} is {number} miles {direction} of the {landmark}",
        "{greeting} {ship} {manoeuvre} and wait for the pilot",
    ),
    "greeting": ("good morning", "good afternoon", "good evening", "hello"),
    "ship": ("northern star", "silver arrow", "blue lady", "green island"),
    "help": (
        "a pilot {when}",
        "{number} tons of water",
        "fuel and fresh water",
        "more time to load the {cargo}",
    ),
    "manoeuvre": (
        "turn {side} at the {landmark}",
        "enter the harbour {when}",
        "drop your anchor near the {landmark}",
        "keep {number} miles from the {landmark}",
        "go to gate number {number}",
        "stay behind the {ship}",
    ),
    "side": ("left", "right"),
    "landmark": ("lighthouse", "bridge", "tower", "yellow buoy", "old mill"),
    "weather": (
        "{day} {daytime} will be {sky}",
        "we expect {wind} from the {direction} {when}",
        "there will be {wind} and {fall} {when}",
        "the {fall} will stop {when}",
        "it is {degrees} degrees at the {landmark}",
        "{fall} is coming from the {direction}",
        "the sea will be {sea} {when}",
    ),
    "sky": ("cold and cloudy", "warm and sunny", "dark and wet", "clear and dry"),
    "wind": ("strong wind", "light wind", "a storm", "very little wind", "heavy waves"),
    "fall": ("rain", "snow", "fog", "thunder"),
    "sea": ("calm", "rough", "quiet", "high"),
    "degrees": ("{number}", "{tens}", "{tens} {digit}"),
    "direction": ("north", "south", "east", "west", "north west", "south east"),
    "ferry": (
        "the {clock} ferry to {town} is {state}",
        "the ferry from {town} arrives at {clock}",
        "the last {vehicle} to {town} leaves at {clock}",
        "tickets to {town} cost {tens} {money}",
        "the {vehicle} to {town} leaves from gate number {number}",
        "there is no {vehicle} to {town} {when}",
    ),
    "vehicle": ("ferry", "train", "bus"),
    "state": ("late", "full", "ready", "waiting", "{tens} minutes late", "on time"),
    "town": ("oakland", "riverton", "milford", "kingsbury", "port george"),
    "clock": ("{digit} o'clock", "half past {digit}", "quarter to {digit}", "{digit} {tens}", "noon", "midnight"),
    "money": ("dollars", "pounds"),
    "order": (
        "please {send} {number} {container} of {cargo} to the {place} {when}",
        "we have {amount} {container} of {cargo} in the {place}",
        "the {place} wants {amount} {container} of {cargo}",
        "the {cargo} for the {place} {come} {when}",
        "order number {digit} {digit} {digit} is for {person}",
        "do not {send} the {cargo} before {day}",
    ),
    "send": ("send", "bring", "carry", "deliver"),
    "come": ("will come", "must be ready", "can wait until"),
    "container": ("boxes", "bags", "barrels", "crates"),
    "cargo": ("oranges", "apples", "coffee", "sugar", "copper", "paper", "cheese"),
    "place": ("market", "hospital", "hotel", "station", "kitchen", "library", "museum"),
    "amount": ("{number}", "{tens}", "{tens} {digit}", "a hundred", "about {tens}", "only {number}"),
    "court": (
        "the judge asked {person} to speak {manner}",
        "{person} told the court that {fact}",
        "the witness said that {fact}",
        "{person} wrote down every word {manner}",
        "the {listener} listened {manner} to {person}",
    ),
    "listener": ("judge", "clerk", "lawyer", "witness"),
    "manner": ("slowly", "clearly", "quickly", "again"),
    "fact": (
        "the door was {doorstate}",
        "{person} was in the {place}",
        "he saw {number} people near the {landmark}",
        "she heard a {noise} at {clock}",
        "the {colour} car came from the {direction}",
    ),
    "doorstate": ("open", "closed", "locked", "broken"),
    "noise": ("bell", "dog", "whistle"),
    "colour": ("red", "blue", "green", "yellow", "black"),
    "home": (
        "my {relative} bought {number} {colour} {thing} at the {place}",
        "my {relative} {likes} {drink} in the {daytime}",
        "{person} is cooking {dish} for {number} people",
        "{person} left the {colour} {object} in the {place}",
        "my {relative} lives near the {landmark} in {town}",
        "i will meet {person} at the {place} {when}",
        "we {likes} {dish} on {day}",
    ),
    "relative": ("mother", "father", "sister", "brother"),
    "likes": ("always want", "never drink", "often need"),
    "drink": ("tea", "milk", "coffee", "cold water", "orange juice"),
    "dish": ("fish soup", "rice and beans", "potatoes", "bread and cheese"),
    "thing": ("flowers", "shirts", "candles"),
    "object": ("umbrella", "suitcase", "jacket", "book"),
    "person": (
        "mister walker",
        "doctor jones",
        "captain miller",
        "anna",
        "peter",
        "maria",
    ),
    "question": (
        "how many {container} of {cargo} are in the {place}",
        "when does the {vehicle} to {town} leave",
        "is there any {drink} in the {place}",
        "did {person} call {when}",
        "where is the {colour} {object} of {person}",
        "can you hear the {noise} from the {landmark}",
        "who will {send} the {cargo} to {town}",
    ),
    "when": (
        "today",
        "tomorrow",
        "tonight",
        "this {daytime}",
        "on {day}",
        "next {day}",
        "on {day} {daytime}",
        "before {clock}",
        "in {number} hours",
    ),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "daytime": ("morning", "afternoon", "evening"),
    "digit": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "number": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "tens": ("twenty", "thirty", "forty", "fifty", "sixty"),
}
"""What each name in braces may become."""

_SLOT = re.compile(r"\{(\w+)\}")


def sentences(seed: int) -> Iterator[str]:
    """Sentences without end; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    while True:
        yield _expand("{sentence}", chance)


def training_sentences(seed: int) -> Iterator[str]:
    """Those that may be trained on."""
    return (text for text in sentences(seed) if not is_held_out(text))


def held_out_sentences(seed: int) -> Iterator[str]:
    """Those that never are."""
    return (text for text in sentences(seed) if is_held_out(text))


def is_held_out(text: str) -> bool:
    """Whether a sentence is kept away from training; a matter of its text alone."""
    return zlib.crc32(text.encode()) % SHARE_HELD_OUT == 0


def vocabulary() -> list[str]:
    """Every word that the grammar can write, in order of the alphabet."""
    written = " ".join(_SLOT.sub(" ", text) for options in RULES.values() for text in options)
    return sorted(set(written.split()))


def _expand(text: str, chance: random.Random) -> str:
    """Replace every name in braces, from the left, until none is left."""
    while found := _SLOT.search(text):
        text = text[: found.start()] + chance.choice(RULES[found[1]]) + text[found.end() :]
    return text
