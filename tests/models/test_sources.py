"""Checkpoints come from folders, object stores and hubs, whole and once.

The object store is moto's server and the hub a few lines of HTTP, so that the drivers are the real ones.
"""

import json
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Final

import fsspec
import httpx2
import pytest
from huggingface_hub import constants
from moto.server import ThreadedMotoServer

import models
from models import sources
from models.sources import fetch
from models.wanted import SourceError, preferred

CHECKPOINT = {"config.json": b"{}", "model.safetensors": b"weights", "vocab.json": b"[1]"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STENOPOOL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "checkpoints"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(ref: str | Path) -> str:
    with pytest.raises(SourceError) as refused:
        fetch(ref)
    message = str(refused.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


# Folders


def test_a_folder_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    assert fetch(tmp_path) == fetch(str(tmp_path)) == fetch(f"file://{tmp_path}") == fetch(tmp_path.name) == tmp_path


def test_a_path_that_is_no_folder_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    assert f"{file} does not exist" in refusal(file)
    file.touch()
    assert f"{file} is a file, not a checkpoint folder" in refusal(f"file://{file}")


@pytest.mark.parametrize("ref", ["ftp://host/model", "https://user:hunter2@host/model?token=hunter2"])
def test_an_unknown_scheme_is_answered_with_the_known_ones(ref: str) -> None:
    message = refusal(ref)
    assert all(scheme in message for scheme in ("folder", "s3://", "gs://", "az://", "hf://"))
    assert "hunter2" not in message


@pytest.mark.parametrize("ref", ["s3://key:hunter2@bucket/m", "s3://key:hunt/er2@bucket/m", "az://b/m?sig=hunter2"])
def test_an_address_with_credentials_is_refused_without_repeating_it(ref: str) -> None:
    assert "hunt" not in refusal(ref)


# What is worth fetching


@pytest.mark.parametrize(
    ("there", "fetched"),
    [
        ("model.safetensors pytorch_model.bin tf_model.h5", "model.safetensors"),
        ("model-1.safetensors model.safetensors.index.json pytorch_model-1.bin",
         "model-1.safetensors model.safetensors.index.json"),
        ("pytorch_model.bin tf_model.h5", "pytorch_model.bin tf_model.h5"),
        ("adapter.safetensors pytorch_model.bin", "adapter.safetensors pytorch_model.bin"),
        ("optimizer.pt onnx/model.safetensors ../model.safetensors pytorch_model.bin", "pytorch_model.bin"),
    ],
)  # fmt: skip
def test_other_weights_are_left_where_safetensors_are(there: str, fetched: str) -> None:
    assert set(preferred(["config.json", *there.split()])) == {"config.json", *fetched.split()}


def test_any_fsspec_store_will_do() -> None:
    store = fsspec.filesystem("memory")
    store.pipe({"/any/model/config.json": b"{}", "/any/model/deeper/config.json": b"[]"})
    assert contents(fetch("memory://any/model")) == {"config.json": b"{}"}


class Refusing:
    """A driver of Google's or Azure's that says no, in its own way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def ls(self, *_: object, **__: object) -> list[dict[str, object]]:
        raise self.error


@pytest.mark.parametrize("known", sources.FOREIGN)
def test_what_other_drivers_raise_is_told_in_a_sentence(
    known: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = known
    kind = type(name, (Exception,), {})
    package = ModuleType(module)
    setattr(package, name, kind)
    monkeypatch.setitem(sys.modules, module, package)
    for error in (kind("no"), ValueError("no account is named")):
        monkeypatch.setattr(fsspec, "filesystem", lambda *_, error=error, **__: Refusing(error))
        assert f"could not be fetched ({type(error).__name__})" in refusal("az://bucket/model")


# Object stores


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """The bucket `speech`, the only one of its store."""

    def __init__(self) -> None:
        self.store = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
        self.store.mkdir("speech")

    def put(self, files: dict[str, bytes], prefix: str = "model") -> str:
        """Write files under a prefix and return its address."""
        self.store.pipe({f"speech/{prefix}/{name}": body for name, body in files.items()})
        return f"s3://speech/{prefix}"


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    httpx2.post(f"{server}/moto-api/reset")
    return Bucket()


@pytest.fixture
def downloads(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Count the objects that the store has handed out."""
    caplog.set_level(logging.INFO, "werkzeug")
    return lambda: sum("GET /speech/" in record.getMessage() for record in caplog.records)


@pytest.mark.s3
def test_a_checkpoint_is_downloaded_once(bucket: Bucket, cache: Path, downloads: Callable[[], int]) -> None:
    url = bucket.put({**CHECKPOINT, "pytorch_model.bin": b"again", "notes.pdf": b"", "runs.json/config.json": b""})
    first = fetch(url)
    assert contents(first) == CHECKPOINT
    assert downloads() == len(CHECKPOINT)
    assert fetch(url + "/") == first
    assert fetch(bucket.put(CHECKPOINT, "same/elsewhere")) == first
    assert downloads() == len(CHECKPOINT)
    assert list(cache.iterdir()) == [first]


@pytest.mark.s3
def test_a_changed_object_gives_a_new_folder_beside_the_old_one(bucket: Bucket) -> None:
    old = fetch(bucket.put(CHECKPOINT))
    new = fetch(bucket.put({"model.safetensors": b"WEIGHTS"}))
    assert contents(new) == {**CHECKPOINT, "model.safetensors": b"WEIGHTS"}
    assert contents(old) == CHECKPOINT


@pytest.mark.s3
def test_an_object_cannot_name_a_file_outside_the_cache(bucket: Bucket, tmp_path: Path) -> None:
    url = bucket.put({**CHECKPOINT, "../../../out.json": b"", "..": b"", "/out.json": b"", "..\\out.json": b""})
    assert set(contents(fetch(url))) == {*CHECKPOINT, "..\\out.json"}
    assert not [path for path in tmp_path.rglob("out.json") if path.is_file()]


@contextmanager
def workers(count: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Start processes that have imported what they need, so that they fetch at once."""
    pools = [ProcessPoolExecutor(1, mp_context=get_context("spawn")) for _ in range(count)]
    for ready in [pool.submit(fetch, Path.cwd()) for pool in pools]:
        ready.result()
    yield pools
    for pool in pools:
        pool.shutdown()


@pytest.mark.s3
def test_processes_that_race_share_one_whole_copy(bucket: Bucket, cache: Path, downloads: Callable[[], int]) -> None:
    with workers(3) as racers:
        for heat in range(10):  # on a busy machine the first may be home before the others start
            files = {f"model-{shard}.safetensors": bytes(100_000) for shard in range(10)}
            files["config.json"] = str(heat).encode()
            url = bucket.put(files, f"heat-{heat}")
            before = downloads()
            running = [racer.submit(fetch, url) for racer in racers]
            folders = {fetched.result() for fetched in running}
            assert len(folders) == 1 and len(list(cache.iterdir())) == heat + 1
            assert contents(fetch(url)) == files
            if downloads() > before + len(files):
                return
    pytest.fail("they never raced")


@pytest.mark.s3
def test_what_a_killed_download_left_is_never_taken_for_a_checkpoint(bucket: Bucket, cache: Path) -> None:
    files = {"config.json": b"{}", **{f"model-{shard:02}.safetensors": bytes(1000) for shard in range(50)}}
    url = bucket.put(files)
    with workers(1) as [victim]:
        number = victim.submit(os.getpid).result()
        fetched = victim.submit(fetch, url)
        while len(list(cache.glob("*.partial/*/*"))) < 5:
            assert not fetched.done()
        os.kill(number, signal.SIGKILL)
        with pytest.raises(BrokenProcessPool):
            fetched.result()
    [left] = cache.iterdir()
    assert 5 <= len(list(left.glob("*/*"))) < len(files)
    assert contents(fetch(url)) == files
    assert left.exists()  # perhaps another process is still filling it ...
    os.utime(left, (0, 0))
    fetch(bucket.put({"config.json": b"[]"}))
    assert not left.exists()  # ... but not for days


@pytest.mark.s3
def test_a_damaged_copy_is_refused_by_name(bucket: Bucket) -> None:
    url = bucket.put(CHECKPOINT)
    folder = fetch(url)
    (folder / "model.safetensors").write_bytes(b"")
    assert f"{folder}, the copy of {url}, is damaged (model.safetensors)" in refusal(url)
    shutil.rmtree(folder)
    assert contents(fetch(url)) == CHECKPOINT


@pytest.mark.s3
def test_a_checkpoint_that_changes_meanwhile_is_not_mixed(bucket: Bucket, cache: Path) -> None:
    url = bucket.put(CHECKPOINT)
    listed = sources._checkpoint_files(bucket.store, url)
    bucket.put({"model.safetensors": b"WEIGHTS"})  # of the same size
    with pytest.raises(SourceError, match="changed while it was downloaded"):
        sources._download(bucket.store, url, listed, cache / "key")
    assert not list(cache.iterdir())


@pytest.mark.s3
def test_nothing_to_fetch_is_told_by_what_is_wrong(bucket: Bucket) -> None:
    url = bucket.put(CHECKPOINT)
    papers = bucket.put({"notes.pdf": b""}, "papers")
    assert "lies in a bucket that does not exist" in refusal("s3://nowhere/model")
    assert "does not exist or is empty" in refusal("s3://speech/typo")
    assert "holds no checkpoint files" in refusal(papers)
    assert "holds no checkpoint files" in refusal("s3://speech")
    assert "is a file, not a checkpoint folder" in refusal(f"{url}/config.json")
    assert "names no bucket" in refusal("s3://")
    assert "could not be fetched" in refusal("s3://no such bucket/model")


@pytest.fixture
def locked(bucket: Bucket, server: str) -> Iterator[str]:
    """Make the store check credentials once there is a checkpoint in it."""
    url = bucket.put(CHECKPOINT)
    httpx2.post(f"{server}/moto-api/reset-auth", content=b"0")
    yield url
    httpx2.post(f"{server}/moto-api/reset-auth", content=b"inf")


@pytest.mark.s3
def test_credentials_that_may_not_read_are_told_so(locked: str) -> None:
    message = refusal(locked)
    assert "may not be read with these credentials" in message
    assert "hunter2" not in message


def test_missing_credentials_are_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "needs credentials" in refusal("s3://speech/model")


@pytest.mark.s3
@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("listens", [False, True], ids=["closed port", "silent server"])
def test_a_store_out_of_reach_is_given_up_within_seconds(listens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LISTING_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        if not listens:
            server.close()
        began = time.monotonic()
        assert "is out of reach" in refusal("s3://speech/model")
    assert time.monotonic() - began < 5


@pytest.mark.s3
def test_a_cache_that_cannot_be_written_is_named(bucket: Bucket, cache: Path) -> None:
    cache.parent.touch()
    assert f"{cache} cannot be written" in refusal(bucket.put(CHECKPOINT))


# Hubs

OLD, NEW = "a" * 40, "b" * 40


class Hub(ThreadingHTTPServer):
    """A hub with one repository, `org/model`, that holds the same files at every commit."""

    files: Final = {**CHECKPOINT, "pytorch_model.bin": b"again", "runs/config.json": b""}
    main = OLD
    requests = 0
    downloads = 0

    def answer(self, path: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body."""
        self.requests += 1
        match path.strip("/").split("/"):
            case ["api", "models", "org", "model"] | ["api", "models", "org", "model", "revision", "main"]:
                return {}, self.described(self.main)
            case ["api", "models", "org", "model", "revision", commit] if commit in (OLD, NEW):
                return {}, self.described(commit)
            case ["api", "models", "org", "model", "tree", _]:
                tree = [{"type": "file", "path": p, "size": len(b), "oid": p} for p, b in self.files.items()]
                return {}, json.dumps(tree).encode()
            case ["org", "model", "resolve", commit, *name]:
                self.downloads += 1
                return {"ETag": f'"{name}"', "X-Repo-Commit": commit}, self.files["/".join(name)]
            case ["api", "models", "org", "model", *_]:
                return {"X-Error-Code": "RevisionNotFound"}, b""
        return {"X-Error-Code": "RepoNotFound"}, b""

    def described(self, commit: str) -> bytes:
        """Return what the hub says of a commit."""
        siblings = [{"rfilename": name} for name in self.files]
        return json.dumps({"id": "org/model", "sha": commit, "siblings": siblings}).encode()


class Answers(BaseHTTPRequestHandler):
    """One request to the hub."""

    server: Hub

    def do_GET(self) -> None:
        headers, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(404 if "X-Error-Code" in headers else 200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield server
        server.shutdown()


@pytest.fixture(params=["offline", "no network", "silent"])
def leave(request: pytest.FixtureRequest, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Put the hub out of reach."""
    monkeypatch.setattr("models.hub.ANSWER_SECONDS", 0.3)

    def leave() -> None:
        if request.param == "offline":
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        else:
            hub.shutdown()  # it still takes calls, which nobody answers
        if request.param == "no network":
            hub.server_close()

    return leave


def test_a_branch_on_a_hub_is_fetched_as_one_commit_and_once(hub: Hub) -> None:
    old = fetch("hf://org/model")
    assert contents(old) == CHECKPOINT
    assert old.name == OLD
    downloads = hub.downloads
    assert fetch("hf://org/model@main") == fetch(f"hf://org/model@{OLD}") == old
    assert hub.downloads == downloads
    hub.main = NEW
    assert fetch("hf://org/model").name == NEW
    assert fetch(f"hf://org/model@{OLD}") == old


def test_a_hub_out_of_reach_leaves_what_was_fetched_before(hub: Hub, leave: Callable[[], None]) -> None:
    fetched = fetch("hf://org/model")
    asked = hub.requests
    leave()
    assert fetch("hf://org/model") == fetch(f"hf://org/model@{OLD}") == fetched
    for ref in ("hf://org/model@other", f"hf://org/model@{NEW}", "hf://org/another"):
        assert "is out of reach, and the local cache has no complete copy" in refusal(ref)
    (fetched / "config.json").unlink()
    assert "no complete copy" in refusal("hf://org/model")
    assert hub.requests == asked


@pytest.mark.usefixtures("hub")
def test_a_cut_copy_of_a_commit_is_completed() -> None:
    fetched = fetch("hf://org/model")
    (fetched / "config.json").unlink()
    assert contents(fetch("hf://org/model")) == CHECKPOINT


def test_a_cache_that_another_program_filled_will_do(leave: Callable[[], None]) -> None:
    repository = Path(constants.HF_HUB_CACHE) / "models--org--model"
    snapshot = repository / "snapshots" / OLD
    for path, text in {repository / "refs" / "main": OLD, snapshot / "config.json": "{}"}.items():
        path.parent.mkdir(parents=True)
        path.write_text(text)
    leave()
    assert fetch("hf://org/model") == fetch("hf://org/model@main") == snapshot


@pytest.mark.usefixtures("hub")
def test_what_a_hub_refuses_is_told_in_a_sentence() -> None:
    assert "does not exist or is private" in refusal("hf://org/another")
    assert "has no such revision" in refusal("hf://org/model@another")
    assert "is no name that a hub can have" in refusal("hf://org/a--b")
    assert "hf://org/name@revision" in refusal("hf://model")
    assert "hunter2" not in refusal("hf://user:hunter2@org/model")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "models.hub", raising=False)
    monkeypatch.delattr(models, "hub", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install -e '.[hub]' in the project's folder" in refusal("hf://org/model")
