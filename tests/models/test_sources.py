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
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Final, cast

import fsspec
import httpx2
import pytest
from huggingface_hub import constants
from moto.server import ThreadedMotoServer

import models
from models import sources
from models.sources import SourceError, Store, fetch, preferred

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


# Object stores


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Empty a store but for one bucket, `speech`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    httpx2.post(f"{server}/moto-api/reset")
    made = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)
    made.mkdir("speech")
    return cast("Store", made)


@pytest.fixture
def put(store: Store) -> Callable[..., str]:
    """Write the files of a checkpoint under a prefix and return its address."""

    def put(files: dict[str, bytes], prefix: str = "model") -> str:
        store.pipe({f"speech/{prefix}/{name}": body for name, body in files.items()})
        return f"s3://speech/{prefix}"

    return put


def downloads(log: pytest.LogCaptureFixture) -> int:
    """How many objects the store has handed out."""
    return sum("GET /speech/" in record.getMessage() for record in log.records)


@pytest.mark.s3
def test_a_checkpoint_is_downloaded_once(bucket: Bucket, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    url = put(bucket, {**CHECKPOINT, "pytorch_model.bin": b"again", "notes.pdf": b"", "runs/config.json": b""})
    first = fetch(url)
    assert contents(first) == CHECKPOINT
    assert downloads(caplog) == len(CHECKPOINT)
    assert fetch(url + "/") == first
    assert fetch(put(bucket, CHECKPOINT, "same/elsewhere")) == first
    assert downloads(caplog) == len(CHECKPOINT)
    assert list(cache.iterdir()) == [first]


@pytest.mark.s3
def test_a_changed_object_gives_a_new_folder_beside_the_old_one(bucket: Bucket) -> None:
    old = fetch(put(bucket, CHECKPOINT))
    new = fetch(put(bucket, {"model.safetensors": b"WEIGHTS"}))
    assert contents(new) == {**CHECKPOINT, "model.safetensors": b"WEIGHTS"}
    assert contents(old) == CHECKPOINT


@pytest.mark.s3
def test_an_object_cannot_name_a_file_outside_the_cache(bucket: Bucket, cache: Path) -> None:
    url = put(bucket, {**CHECKPOINT, "../../../out.json": b"", "..": b"", "/abs.json": b"", "..\\w.json": b""})
    assert set(contents(fetch(url))) == {*CHECKPOINT, "..\\w.json"}
    assert not list(cache.parents[1].glob("*.json"))


def fetchers(ref: str, count: int) -> "list[subprocess.Popen[str]]":
    """Processes that begin to fetch together, once all have started."""
    command, root = [sys.executable, "-c", FETCH, ref], Path(__file__).parents[2]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, cwd=root, text=True, stdin=pipe, stdout=pipe) for _ in range(count)]
    for child in children:
        assert child.stdout and child.stdout.readline() == "ready\n"
    for child in children:
        print(file=child.stdin, flush=True)
    return children


@pytest.mark.s3
def test_processes_that_race_share_one_whole_copy(
    bucket: Bucket, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "werkzeug")
    files = {**CHECKPOINT, **{f"model-{shard}.safetensors": bytes(100_000) for shard in range(10)}}
    url = put(bucket, files)
    folders = {racer.communicate(timeout=60)[0].strip() for racer in fetchers(url, count=3)}
    assert downloads(caplog) > len(files)  # or they did not race
    assert [str(folder) for folder in cache.iterdir()] == list(folders)
    assert contents(fetch(url)) == files


@pytest.mark.s3
def test_what_a_killed_download_left_is_never_taken_for_a_checkpoint(bucket: Bucket, cache: Path) -> None:
    files = {"config.json": b"{}", **{f"model-{shard:03}.safetensors": bytes(1000) for shard in range(50)}}
    url = put(bucket, files)
    [child] = fetchers(url, count=1)
    with child:
        while len(list(cache.glob("*.partial/*/*"))) < 5:
            assert child.poll() is None
        child.kill()
    [left] = cache.iterdir()
    assert 5 <= len(list(left.glob("*/*"))) < len(files)
    assert contents(fetch(url)) == files
    assert left.exists()  # perhaps another process is still filling it ...
    os.utime(left, (0, 0))
    fetch(put(bucket, {"config.json": b"[]"}))
    assert not left.exists()  # ... but not for days


@pytest.mark.s3
def test_a_damaged_copy_is_refused_by_name(bucket: Bucket) -> None:
    url = put(bucket, CHECKPOINT)
    folder = fetch(url)
    (folder / "model.safetensors").write_bytes(b"")
    assert str(folder) in (message := refusal(url)) and "damaged (model.safetensors)" in message
    shutil.rmtree(folder)
    assert contents(fetch(url)) == CHECKPOINT


@pytest.mark.s3
def test_a_checkpoint_that_changes_meanwhile_is_not_mixed(bucket: Bucket, cache: Path) -> None:
    url = put(bucket, CHECKPOINT)
    listed = sources.checkpoint_files(store := fsspec.filesystem("s3", use_listings_cache=False), url)
    put(bucket, {"model.safetensors": b"WEIGHTS"})  # of the same size
    with pytest.raises(SourceError, match="changed while it was downloaded"):
        sources.download(store, url, listed, cache / "key")
    assert not list(cache.iterdir())


@pytest.mark.s3
def test_nothing_to_fetch_is_told_by_what_is_wrong(bucket: Bucket) -> None:
    url = put(bucket, {**CHECKPOINT})
    put(bucket, {"notes.pdf": b""}, "papers")
    assert "lies in a bucket that does not exist" in refusal("s3://nowhere/model")
    assert "does not exist or is empty" in refusal("s3://speech/typo")
    assert "holds no checkpoint files" in refusal("s3://speech/papers")
    assert "holds no checkpoint files" in refusal("s3://speech")
    assert "is a file, not a checkpoint folder" in refusal(f"{url}/config.json")
    assert "names no bucket" in refusal("s3://")
    assert "could not be fetched" in refusal("s3://no such bucket/model")


@pytest.fixture
def locked(bucket: Bucket, store: str) -> Iterator[str]:
    """A checkpoint in a store that checks credentials from now on."""

    def post(free_requests: bytes) -> None:
        address, headers = f"{store}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, free_requests, headers)).close()

    url = put(bucket, CHECKPOINT)
    post(b"0")
    yield url
    post(b"inf")


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
@pytest.mark.parametrize("answers_calls", [False, True], ids=["closed port", "silent server"])
def test_a_store_out_of_reach_is_given_up_within_seconds(
    bucket: Bucket, answers_calls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LISTING_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        if not answers_calls:
            server.close()
        began = time.monotonic()
        assert "is out of reach" in refusal("s3://speech/model")
    assert time.monotonic() - began < 5


@pytest.mark.s3
def test_a_cache_that_cannot_be_written_is_named(bucket: Bucket, cache: Path) -> None:
    cache.parent.touch()
    assert f"{cache} cannot be written" in refusal(put(bucket, CHECKPOINT))


# Hubs

OLD, NEW = "a" * 40, "b" * 40


class Hub(ThreadingHTTPServer):
    """A hub with one repository, `org/model`, that holds the same files at every commit."""

    files: Final = {**CHECKPOINT, "pytorch_model.bin": b"again", "runs/config.json": b""}
    main = OLD
    requests = 0
    downloads = 0

    def answer(self, path: str) -> tuple[dict[str, str], bytes]:
        """Headers and body."""
        self.requests += 1
        match path.strip("/").split("/"):
            case ["api", "models", "org", "model"] | ["api", "models", "org", "model", "revision", "main"]:
                return {}, json.dumps({"id": "org/model", "sha": self.main}).encode()
            case ["api", "models", "org", "model", "revision", commit] if commit in (OLD, NEW):
                siblings = [{"rfilename": name} for name in self.files]
                return {}, json.dumps({"id": "org/model", "sha": commit, "siblings": siblings}).encode()
            case ["api", "models", "org", "model", "tree", _]:
                files = self.files.items()
                tree = [{"type": "file", "path": name, "size": len(body), "oid": name} for name, body in files]
                return {}, json.dumps(tree).encode()
            case ["org", "model", "resolve", commit, *name]:
                self.downloads += 1
                return {"ETag": f'"{name}"', "X-Repo-Commit": commit}, self.files["/".join(name)]
            case ["api", "models", "org", "model", *_]:
                return {"X-Error-Code": "RevisionNotFound"}, b""
        return {"X-Error-Code": "RepoNotFound"}, b""


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        headers, body = self.server.answer(self.path.partition("?")[0])
        self.send_response(404 if "X-Error-Code" in headers else 200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield server
        server.shutdown()


def go_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def lose_the_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.shutdown()
    hub.server_close()


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


@pytest.mark.parametrize("leave", [go_offline, lose_the_network])
def test_a_hub_out_of_reach_leaves_what_was_fetched_before(
    hub: Hub, leave: Callable[[Hub, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = fetch("hf://org/model")
    leave(hub, monkeypatch)
    asked = hub.requests
    assert fetch("hf://org/model") == fetch(f"hf://org/model@{OLD}") == fetched
    for ref in ("hf://org/model@other", f"hf://org/model@{NEW}", "hf://org/another"):
        assert "is out of reach, and the local cache has no complete copy" in refusal(ref)
    assert hub.requests == asked


def test_a_cut_copy_of_a_hubs_commit_is_not_taken_for_whole(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = fetch("hf://org/model")
    (fetched / "config.json").unlink()
    go_offline(hub, monkeypatch)
    assert "no complete copy" in refusal("hf://org/model")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert contents(fetch("hf://org/model")) == CHECKPOINT


@pytest.mark.parametrize("leave", [go_offline, lose_the_network])
def test_a_cache_that_another_program_filled_will_do(
    hub: Hub, leave: Callable[[Hub, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(constants.HF_HUB_CACHE) / "models--org--model"
    snapshot = repository / "snapshots" / OLD
    for path, text in {repository / "refs" / "main": OLD, snapshot / "config.json": "{}"}.items():
        path.parent.mkdir(parents=True)
        path.write_text(text)
    leave(hub, monkeypatch)
    assert fetch("hf://org/model") == snapshot


def test_what_a_hub_refuses_is_told_in_a_sentence(hub: Hub) -> None:
    assert "does not exist or is private" in refusal("hf://org/another")
    assert "has no such revision" in refusal("hf://org/model@another")
    assert "is no name that a hub can have" in refusal("hf://org/a--b")
    assert "hf://org/name@revision" in refusal("hf://model")
    assert "hunter2" not in refusal("hf://user:hunter2@org/model")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "models.hub", raising=False)
    monkeypatch.delattr(models, "hub", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'stenopool[hub]'" in refusal("hf://org/model")
