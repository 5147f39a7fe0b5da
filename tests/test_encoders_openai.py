"""The openai encoder, against a server on this machine that plays the endpoint and its failures."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import numpy as np
import pytest

from qkv import Database
from qkv.encoders import HashingEncoder, OpenAIEncoder, Patience, encode_all, resolve
from qkv.encoders import openai as module
from qkv.errors import EncoderError, EndpointError

pytest.importorskip("httpx", reason="pip install 'qkv[openai]'")

KEY = "sk-very-secret-0123456789"
QUICK = Patience(timeout=5, tries=4, pause=0.01, longest=2)


@dataclass
class Answer:
    """What the endpoint does with one request."""

    status: int = 200
    body: object = None  # None: vectors of the texts; bytes as they are; anything else as JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    change: Callable[[list], object] = list


class Endpoint:
    """Answers as told, one request after the other, and then well; remembers what came."""

    def __init__(self, answers):
        self.answers = list(answers)
        self.requests = []
        self.times = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                endpoint.reply(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def reply(self, handler):
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self.times.append(time.monotonic())
        self.requests.append((handler.path, dict(handler.headers), request))
        answer = self.answers.pop(0) if self.answers else Answer()
        time.sleep(answer.delay)
        body = answer.body
        if body is None:
            body = {"object": "list", "data": answer.change(self.embeddings(request))}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            pass  # the client has gone

    def embeddings(self, request):
        encoder = HashingEncoder(request.get("dimensions", 64))
        vectors = 3 * encoder.encode(request["input"])  # endpoints need not give unit vectors
        return [
            {"object": "embedding", "index": i, "embedding": vector.tolist()}
            for i, vector in enumerate(vectors)
        ]

    @property
    def inputs(self):
        return [request["input"] for _, _, request in self.requests]


@pytest.fixture
def endpoint(monkeypatch):
    """Start endpoints; the environment leads to the last one started, with the key."""
    started = []

    def start(*answers):
        started.append(Endpoint(answers))
        monkeypatch.setenv("OPENAI_BASE_URL", started[-1].url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        return started[-1]

    yield start
    for one in started:
        one.server.shutdown()
        one.server.server_close()


def encoder(**options):
    return OpenAIEncoder("small", **{"patience": QUICK, **options})


class TestRequests:
    def test_texts_become_unit_vectors_by_openais_protocol(self, endpoint):
        server = endpoint()
        vectors = encode_all(encoder(), ["cat", "dog"])
        np.testing.assert_allclose(vectors, HashingEncoder(64).encode(["cat", "dog"]), atol=1e-6)
        ((path, headers, request),) = server.requests
        assert path == "/v1/embeddings"
        assert {k.lower(): v for k, v in headers.items()}["authorization"] == f"Bearer {KEY}"
        assert request == {"model": "small", "input": ["cat", "dog"], "encoding_format": "float"}

    def test_arguments_come_before_the_environment(self, endpoint):
        server = endpoint()
        endpoint()  # the environment leads here
        encoder(base_url=f"{server.url}/?api-version=1", key="other").encode(["cat"])
        ((path, headers, _),) = server.requests
        assert path == "/v1/embeddings?api-version=1"
        assert {k.lower(): v for k, v in headers.items()}["authorization"] == "Bearer other"

    def test_a_server_of_your_own_needs_no_key(self, endpoint, monkeypatch):
        server = endpoint()
        monkeypatch.delenv("OPENAI_API_KEY")
        encoder().encode(["cat"])
        assert "authorization" not in {name.lower() for name in server.requests[0][1]}

    def test_dimensions_are_asked_for_and_told_apart(self, endpoint):
        server = endpoint()
        assert encoder(dimensions=16).encode(["cat"]).shape == (1, 16)
        assert server.requests[0][2]["dimensions"] == 16
        assert encoder(dimensions=16).fingerprint != encoder().fingerprint

    def test_batches_keep_to_counts_and_characters(self, endpoint, monkeypatch):
        monkeypatch.setattr(module, "TEXTS", 3)
        monkeypatch.setattr(module, "CHARACTERS", 20)
        server = endpoint()
        texts = ["a", "b", "c", "d", "e" * 15, "f" * 15, "g" * 40, "h"]
        vectors = encoder().encode(texts)
        assert server.inputs == [
            ["a", "b", "c"], ["d", "e" * 15], ["f" * 15], ["g" * 40], ["h"],
        ]  # fmt: skip
        np.testing.assert_allclose(vectors, HashingEncoder(64).encode(texts), atol=1e-6)

    def test_long_texts_go_out_in_windows_and_are_pooled(self, endpoint):
        server = endpoint()
        text = "cat " * 30 + "dog " * 30
        (vector,) = encoder(window=150).encode([text])
        assert max(map(len, server.inputs[0])) <= 150
        assert "".join(server.inputs[0]).replace(" ", "") == text.replace(" ", "")
        halves = HashingEncoder(64).encode(["cat " * 30, "dog " * 30]).sum(axis=0)
        assert vector @ halves / np.linalg.norm(halves) > 0.99

    def test_vectors_are_put_in_the_order_of_their_index(self, endpoint):
        endpoint(Answer(change=lambda items: items[::-1]))
        vectors = encoder().encode(["cat", "dog", "owl"])
        expected = HashingEncoder(64).encode(["cat", "dog", "owl"])
        np.testing.assert_allclose(vectors, expected, atol=1e-6)

    def test_no_texts_no_request(self, endpoint):
        server = endpoint()
        assert len(encoder().encode([])) == 0
        assert server.requests == []


class TestRetries:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
    def test_what_passes_is_tried_again(self, endpoint, status):
        server = endpoint(Answer(status, {"error": {"message": "busy"}}), Answer(status, b"<html>"))
        assert encoder().encode(["cat"]).shape == (1, 64)
        assert len(server.requests) == 3

    def test_pauses_grow(self, endpoint):
        server = endpoint(*[Answer(500)] * 3)
        encoder(patience=Patience(tries=4, pause=0.05)).encode(["cat"])
        first, second, third = (later - earlier for earlier, later in pairwise(server.times))
        assert first > 0.035
        assert second > 0.075
        assert third > 0.15

    @pytest.mark.parametrize(
        "asked",
        ["0.4", pytest.param(lambda: in_seconds(2), id="date")],
    )
    def test_retry_after_counts(self, endpoint, asked):
        asked = asked if isinstance(asked, str) else asked()
        server = endpoint(Answer(429, headers={"Retry-After": asked}))
        encoder(patience=Patience(pause=0.001, longest=3)).encode(["cat"])
        assert server.times[1] - server.times[0] > 0.35

    def test_an_endpoint_that_asks_for_an_hour_is_given_up_at_once(self, endpoint):
        server = endpoint(Answer(429, headers={"Retry-After": "3600"}))
        with pytest.raises(EndpointError, match="429: too many requests"):
            encoder().encode(["cat"])
        assert len(server.requests) == 1

    def test_no_credit_is_not_tried_again(self, endpoint):
        server = endpoint(Answer(429, {"error": {"message": "You exceeded your current quota",
                                                 "code": "insufficient_quota"}}))  # fmt: skip
        with pytest.raises(EndpointError, match="no credit left"):
            encoder().encode(["cat"])
        assert len(server.requests) == 1

    def test_a_timeout_is_tried_again(self, endpoint):
        server = endpoint(Answer(delay=1.0))
        assert encoder(patience=Patience(timeout=0.3, pause=0.01)).encode(["cat"]).any()
        assert len(server.requests) == 2

    def test_after_the_last_try_the_last_answer_is_told(self, endpoint):
        server = endpoint(*[Answer(503, {"error": {"message": "warming up"}})] * 9)
        with pytest.raises(EndpointError, match=r"after 4 tries: answered 503.*warming up") as e:
            encoder().encode(["cat"])
        assert e.value.status == 503
        assert len(server.requests) == 4

    def test_a_server_that_is_not_there(self):
        with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9/v1.*cannot be reached") as e:
            encoder(base_url="http://127.0.0.1:9/v1").encode(["cat"])
        assert e.value.status is None


def in_seconds(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


class TestRefusals:
    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (Answer(401, {"error": {"message": "no such key"}}), "set.* OPENAI_API_KEY.*no such"),
            (Answer(403), "may not use this model"),
            (Answer(404, {"detail": "Not Found"}), "no model 'small'.*mostly in /v1"),
            (Answer(400, {"error": "too long"}), r"window=.*too long"),
            (Answer(body=b"<html>welcome</html>"), "no list of embeddings"),
            (Answer(body=b'{"data": ['), "no list of embeddings"),
            (Answer(body={"data": None}), "no list of embeddings"),
            (Answer(body=[1, 2]), "no list of embeddings"),
            (Answer(change=lambda items: items[:1]), "1 embeddings to 2 texts"),
            (Answer(change=lambda items: [*items, items[0]]), "3 embeddings to 2 texts"),
            (Answer(change=lambda items: [items[0]] * 2), "indexes do not fit"),
            (Answer(change=lambda items: [i | {"index": 5} for i in items]), "indexes do not fit"),
            (Answer(change=lambda items: [i | {"embedding": "AAAA"} for i in items]), "no numbers"),
            (Answer(change=lambda items: [i | {"embedding": []} for i in items]), "empty"),
            (Answer(change=lambda i: [i[0], i[1] | {"embedding": [1.0]}]), "different lengths"),
            (Answer(body=b'{"data": [{"index": 0, "embedding": [NaN]}, '
                         b'{"index": 1, "embedding": [1]}]}'), "NaN"),
        ],
    )  # fmt: skip
    def test_what_will_not_pass_is_told_at_once(self, endpoint, answer, message):
        server = endpoint(answer)
        with pytest.raises(EndpointError, match=message) as e:
            encoder().encode(["cat", "dog"])
        assert len(server.requests) == 1
        assert e.value.status == answer.status
        assert isinstance(e.value, EncoderError)

    def test_batches_of_different_dimensions(self, endpoint, monkeypatch):
        monkeypatch.setattr(module, "TEXTS", 1)
        endpoint(Answer(), Answer(body={"data": [{"index": 0, "embedding": [1.0]}]}))
        with pytest.raises(EndpointError, match="of 1 and of 64 dimensions"):
            encoder().encode(["cat", "dog"])

    @pytest.mark.parametrize("address", ["no address", "http://[::1", "ftp://host/v1", ""])
    def test_an_address_that_is_none(self, address, monkeypatch):
        monkeypatch.setenv("OPENAI_BASE_URL", address or "http://")
        with pytest.raises(EndpointError, match="cannot be asked"):
            encoder().encode(["cat"])


class TestTheKeyIsASecret:
    @pytest.mark.parametrize(
        "answer",
        [
            Answer(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}),
            Answer(404, f"{KEY} not found".encode()),
            Answer(body=b"nonsense"),
            Answer(delay=1.0),
        ],
    )
    @pytest.mark.parametrize("given", [True, False])
    def test_it_is_in_no_error_and_no_log(self, endpoint, answer, given, caplog, monkeypatch):
        caplog.set_level(logging.DEBUG)
        endpoint(answer)
        if given:
            monkeypatch.delenv("OPENAI_API_KEY")
        secretive = encoder(key=KEY if given else None, patience=Patience(timeout=0.3, tries=1))
        with pytest.raises(EndpointError) as e:
            secretive.encode(["cat"])
        shown = "".join(traceback.TracebackException.from_exception(e.value).format())
        assert e.value.__context__ is None
        for text in (shown, str(e.value), repr(e.value), repr(secretive), caplog.text):
            assert KEY not in text
        assert KEY not in secretive.fingerprint

    def test_a_key_that_no_header_can_hold_is_not_shown(self, endpoint):
        endpoint()
        for key in (f"{KEY}\nX-Evil: 1", f"{KEY}é"):
            with pytest.raises(EndpointError, match="one line") as e:
                encoder(key=key).encode(["cat"])
            assert KEY not in str(e.value)

    def test_neither_are_passwords_in_the_address(self, endpoint):
        server = endpoint(Answer(404))
        hidden = server.url.replace("//", "//me:password@") + "?token=password"
        with pytest.raises(EndpointError) as e:
            encoder(base_url=hidden).encode(["cat"])
        assert "password" not in str(e.value)

    def test_it_is_in_no_file(self, endpoint, tmp_path):
        server = endpoint()
        path = tmp_path / "store.qkv"
        with Database(path=path, encoder="openai:small") as db:
            db.update({f"key {i}": i for i in range(300)})
            assert [m.key for m in db.search("key 7", k=1)] == ["key 7"]
        server.answers = [Answer(), Answer(401, {"error": f"bad key {KEY}"})]
        with Database(path=path) as db, pytest.raises(EndpointError):
            db.update({f"other {i}": i for i in range(300)})
        assert (tmp_path / "store.qkv-index" / "encodings.sqlite").exists()
        contents = [p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()]
        assert contents
        assert all(KEY.encode() not in content for content in contents)

    def test_it_does_not_travel_in_a_pickle(self, endpoint):
        endpoint()
        original = encoder(key=KEY)
        original.encode(["cat"])
        assert KEY.encode() not in pickle.dumps(original)
        np.testing.assert_array_equal(
            copy.deepcopy(original).encode(["cat"]), original.encode(["cat"])
        )


def test_a_store_opens_again_by_the_name_of_its_model(endpoint, tmp_path):
    endpoint()
    path = tmp_path / "store.qkv"
    with Database({"a cat": 1, "a dog": 2}, path=path, encoder="openai:small"):
        pass
    endpoint()  # the same model at another address
    with Database(path=path) as db:
        assert db.encoder.fingerprint == "openai:small"
        assert db.search("one cat", k=1)[0].key == "a cat"
    assert resolve("openai:small:latest").fingerprint == "openai:small:latest"
