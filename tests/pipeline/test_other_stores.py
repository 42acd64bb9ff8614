"""Google's and Azure's stores, by stand-ins of their packages: what is asked of them, and what they raise."""

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Barrier
from types import ModuleType

import fsspec
import pytest
from fsspec.registry import _registry

from jobs import SetupError, Transcribe, transcribe
from jobs.away import away
from pipeline import storage
from pipeline.storage import Store, StoreError, list_entries, open_input
from pipeline.stores import other
from pipeline.stores.errors import BROKEN, CREDENTIALS, DENIED, NOT_FOUND, UNREACHABLE


class HttpError(Exception):
    """As gcsfs has it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"said no, {code}")
        self.code = code


class AzureError(Exception):
    """As azure.core has it."""

    status_code: int | None = None

    def __str__(self) -> str:
        return "it said no\nContent: <?xml ...>"


class ClientAuthenticationError(AzureError):
    """One that tells no status."""


class GoogleAuthError(Exception):
    """As google.auth has it."""


def azure(status: int) -> AzureError:
    """An answer of Azure's."""
    error = AzureError("it said no")
    error.status_code = status
    return error


MODULES = {
    "gcsfs.retry": (HttpError,),
    "azure.core.exceptions": (AzureError, ClientAuthenticationError),
    "google.auth.exceptions": (GoogleAuthError,),
}


class Objects(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Objects by their names, and folders where a name has a slash."""

    cachable = False
    objects: dict[str, tuple[bytes, str]]
    numbers: Iterator[int]
    trouble: Exception | None
    unopened: Exception | None

    def __init__(self, **said: object) -> None:
        super().__init__(**said)
        if self.unopened is not None:
            raise self.unopened

    def _asked(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def info(self, path: str, **_: object) -> dict[str, object]:
        self._asked()
        if path in self.objects:
            payload, etag = self.objects[path]
            return {"name": path, "type": "file", "size": len(payload), "etag": etag}
        if any(name.startswith(f"{path}/") for name in self.objects):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **_: object) -> list[dict[str, object]]:
        self._asked()
        below = [name.removeprefix(f"{path}/") for name in self.objects if name.startswith(f"{path}/")]
        return [self.info(f"{path}/{first}") for first in {name.partition("/")[0] for name in below}]

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        self._asked()
        return self.objects[path][0][start:end]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
        self._asked()
        if mode == "create" and path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = (value, f"etag {next(self.numbers)}")

    def put_file(self, lpath: str, rpath: str, **_: object) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def rm_file(self, path: str) -> None:
        self._asked()
        if self.objects.pop(path, None) is None:
            raise FileNotFoundError(path)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        pytest.fail(f"a bucket would be made for {path}")


@pytest.fixture(params=["gs", "az"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket at a stand-in."""
    for module, kinds in MODULES.items():
        stand_in = ModuleType(module)
        for kind in kinds:
            setattr(stand_in, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, module, stand_in)
    Objects.objects, Objects.numbers, Objects.trouble, Objects.unopened = {}, count(), None, None
    monkeypatch.setitem(_registry, request.param, Objects)
    _forget()
    yield f"{request.param}://bucket/out"
    _forget()


def _forget() -> None:
    other.file_system.cache_clear()
    storage.open_place.cache_clear()


def test_a_cloud_keeps_what_a_store_promises_and_makes_no_bucket(cloud: str, tmp_path: Path) -> None:
    store = Store(cloud)
    assert store.create("a/one", b"first") and not store.create("a/one", b"second")
    assert store.read("a/one") == b"first" == open_input(f"{cloud}/a/one").read()
    seen = store.look("a/one").version
    assert store.replace("a/one", b"second", seen) == store.look("a/one").version != seen
    assert store.replace("a/one", b"late", seen) is None is store.replace("none", b"late", seen)
    store.put("a-", b"12")
    (tmp_path / "file").write_bytes(b"of a file")
    store.deposit("b/c/two", str(tmp_path / "file"))
    assert [entry.uri for entry in store.names()] == ["a-", "a/one", "b/c/two"]
    assert [entry.uri for entry in list_entries(f"{cloud}/*/*")] == [f"{cloud}/a/one"]
    store.delete("a-")
    store.delete("a-")
    assert [entry.uri for entry in store.names("b")] == ["b/c/two"]


def test_folders_are_listed_side_by_side_and_told_in_order(cloud: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(f"{folder}/{part}/{name}" for folder in "abc" for part in "xy" for name in ("1", "2-"))
    for name in (*names, "b-"):
        Store(cloud).create(name, b"it")
    met, plain = Barrier(2, timeout=10), Objects.ls

    def together(self: Objects, path: str, detail: bool = True, **more: object) -> list[dict[str, object]]:
        if path.endswith(("/x", "/y")):
            met.wait()  # breaks where nobody else is listing meanwhile
        return plain(self, path, detail, **more)

    monkeypatch.setattr(Objects, "ls", together)
    assert [entry.uri for entry in Store(cloud).names()] == sorted((*names, "b-"))
    assert [entry.uri for entry in list_entries(f"{cloud}/a/*/1")] == [f"{cloud}/a/x/1", f"{cloud}/a/y/1"]


def test_what_a_cloud_does_not_promise_is_said(cloud: str) -> None:
    found = Store(cloud).probe()
    assert found.exclusive and not found.conditional
    assert "does not replace conditionally" in found.words
    assert list(Store(cloud).names()) == []


TROUBLES = [
    (HttpError(401), CREDENTIALS),
    (HttpError(403), DENIED),
    (HttpError(429), BROKEN),
    (OSError("Forbidden: b/bucket"), DENIED),
    (GoogleAuthError("no refresh token\nand more"), CREDENTIALS),
    (azure(403), DENIED),
    (azure(404), NOT_FOUND),
    (azure(503), BROKEN),
    (ClientAuthenticationError("nobody knows you"), CREDENTIALS),
    (ValueError("unable to find account"), BROKEN),
    (ConnectionRefusedError("refused"), UNREACHABLE),
    (TimeoutError(), UNREACHABLE),
]


@pytest.mark.parametrize(("trouble", "kind"), TROUBLES, ids=[str(trouble) for trouble, _ in TROUBLES])
def test_what_a_package_raises_is_told_and_never_passes_for_an_empty_place(
    cloud: str, trouble: Exception, kind: str
) -> None:
    store = Store(cloud)
    store.create("a/one", b"first")
    Objects.trouble = trouble
    attempts = (
        lambda: list(store.names()),
        lambda: list(list_entries(f"{cloud}/a/*")),
        lambda: store.read("a/one"),
        lambda: store.create("a/two", b""),
        lambda: store.replace("a/one", b"", "etag 0"),
        lambda: store.put("a/one", b""),
        lambda: store.delete("a/one"),
    )
    for attempt in attempts:
        with pytest.raises(StoreError) as told:
            attempt()
        assert told.value.kind == kind and "\n" not in str(told.value)


@pytest.mark.parametrize("unopened", [ValueError("no account\nis named"), GoogleAuthError("no credentials")])
def test_a_store_that_cannot_be_opened_is_a_wrong_set_up_with_what_to_set(
    cloud: str, unopened: Exception, tmp_path: Path
) -> None:
    Objects.unopened = unopened
    options = Transcribe((f"{cloud}/in",), cloud, str(tmp_path / "no-model"))
    assert away(options).problems == []
    with pytest.raises(SetupError) as told:
        transcribe(options)
    scheme = cloud.partition("://")[0]
    words = {"gs": "GOOGLE_APPLICATION_CREDENTIALS", "az": "AZURE_STORAGE_ACCOUNT_NAME"}[scheme]
    first = str(unopened).partition("\n")[0]
    for name in ("output", "input"):
        (said,) = (problem for problem in told.value.problems if problem.startswith(f"{name}: "))
        assert said.startswith(f"{name}: {scheme}:// cannot be opened ({first}): ") and words in said


def test_a_cloud_that_refuses_to_be_looked_at_is_no_silent_one(cloud: str, tmp_path: Path) -> None:
    Objects.trouble = HttpError(401)
    assert away(Transcribe((f"{cloud}/in",), cloud, str(tmp_path / "no-model"))).problems == []


def test_memory_is_no_place_for_what_workers_share() -> None:
    options = Transcribe(("memory://in", "/data"), "MEMORY://out", "memory://model", roots=("memory://roots",))
    assert [said.partition(": memory is each process's own")[0] for said in options.flaws()] == [
        "output MEMORY://out",
        "model memory://model",
    ]
