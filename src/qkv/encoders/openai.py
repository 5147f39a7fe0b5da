"""Any embeddings endpoint that speaks OpenAI's protocol: the real one, or a server of your own."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qkv.encoders.extras import need
from qkv.encoders.windows import in_windows
from qkv.errors import EndpointError
from qkv.types import Floats

if TYPE_CHECKING:
    import httpx

__all__ = ["OpenAIEncoder", "Patience"]

#: Where requests go when neither argument nor environment says.
HOME = "https://api.openai.com/v1"
#: Texts and characters of one request. OpenAI takes 2,048 texts and 300,000 tokens.
TEXTS, CHARACTERS = 256, 100_000
#: Characters of one text: beyond 8,191 tokens OpenAI refuses, and no script has many more tokens
#: than characters.
WINDOW = 8_000

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


@dataclass(frozen=True)
class Patience:
    """How long to wait for an endpoint.

    Attributes
    ----------
    timeout : float
        Seconds for one request.
    tries : int
        Requests for the same texts, the first one included.
    pause : float
        Seconds before the second try; doubled for each further one, and varied by a quarter so
        that many clients do not come back at the same moment. Where the endpoint says how long to
        wait (Retry-After), that counts instead.
    longest : float
        Longest pause; an endpoint that asks for more is given up at once.
    """

    timeout: float = 60.0
    tries: int = 6
    pause: float = 0.5
    longest: float = 60.0


class _Failure(NamedTuple):
    """What went wrong with one request, and whether and when to try again."""

    status: int | None
    message: str
    again: bool
    wait: float | None = None


class OpenAIEncoder:
    """Embeddings from an endpoint that speaks OpenAI's protocol: ``POST {base_url}/embeddings``.

    Texts go out in batches. Requests that fail for reasons that pass (429, 5xx, timeouts, broken
    connections) are repeated; others raise an EndpointError that says what to do. Rows are scaled
    to length one. Texts of more than 8,000 characters are cut into windows and pooled: see
    :func:`qkv.encoders.windows.in_windows`.

    The key is sent to the endpoint and goes nowhere else: it is in no file, fingerprint, ``repr``,
    log or error, and is left out when the encoder is pickled.

    Parameters
    ----------
    model : str
        Name of the model, as the endpoint knows it.
    base_url : str, optional
        None: the environment variable ``OPENAI_BASE_URL``, or OpenAI itself.
    key : str, optional
        None: the environment variable ``OPENAI_API_KEY``, looked up at each request. A server of
        your own may need none.
    dimensions : int, optional
        Shorter vectors, where the model can.
    window : int
        Characters of a text that the model reads at once.
    patience : Patience
        Timeouts and retries.

    Raises
    ------
    MissingExtra
        If httpx is not installed: ``pip install 'qkv[openai]'``.

    Examples
    --------
    >>> encoder = OpenAIEncoder("text-embedding-3-small", dimensions=256)
    >>> encoder.fingerprint
    'openai:text-embedding-3-small@256'
    """

    costly = True

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        key: str | None = None,
        dimensions: int | None = None,
        window: int = WINDOW,
        patience: Patience = Patience(),
    ) -> None:
        need(f"the encoder 'openai:{model}'", "openai", "httpx")
        self.model = model
        self.dimensions = dimensions
        self.window = window
        self.patience = patience
        self._base_url = base_url
        self._key = key
        self._client: tuple[int, httpx.Client] | None = None

    @property
    def fingerprint(self) -> str:
        """Model and dimensions. Not the address: the same model may move."""
        return f"openai:{self.model}" + (f"@{self.dimensions}" if self.dimensions else "")

    @property
    def url(self) -> str:
        """Where requests go."""
        base = self._base_url or os.environ.get("OPENAI_BASE_URL") or HOME
        path, mark, query = base.partition("?")
        return f"{path.rstrip('/')}/embeddings{mark}{query}"

    def __repr__(self) -> str:
        return f"<OpenAIEncoder {self.fingerprint}>"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the key, and the connection, which does not travel."""
        return self.__dict__ | {"_key": None, "_client": None}

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, d), float32, rows of length one.

        Raises
        ------
        EndpointError
            If the endpoint refuses, does not answer, or answers something else than vectors.
        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        return in_windows(self._encode, texts, lambda text: len(text) <= self.window)

    def _encode(self, texts: list[str]) -> Floats:
        parts = [self._request(batch) for batch in _batches(texts)]
        widths = sorted({part.shape[1] for part in parts})
        if len(widths) > 1:
            raise self._error(None, f"gave vectors of {widths[0]} and of {widths[1]} dimensions")
        return np.concatenate(parts)

    # ── one request ──────────────────────────────────────────────────────────────────────────

    def _request(self, texts: Sequence[str]) -> Floats:
        """Send a batch until it is answered, or not worth another try."""
        tried = 1
        while isinstance(answer := self._send(texts), _Failure):
            wait = self._pause(answer, tried)
            if wait is None:
                times = f"after {tried} tries: " if tried > 1 else ""
                # Outside of any `except`: no exception with the request in it hangs on.
                raise self._error(answer.status, f"{times}{answer.message}")
            time.sleep(wait)
            tried += 1
        return answer

    def _pause(self, failure: _Failure, tried: int) -> float | None:
        """Seconds to wait before the next try; None if there is no use in one."""
        patience = self.patience
        if not failure.again or tried >= patience.tries:
            return None
        if failure.wait is not None:
            return failure.wait if failure.wait <= patience.longest else None
        pause = min(patience.longest, patience.pause * 2.0 ** (tried - 1))
        return pause * (1 + random.uniform(-0.25, 0.25))  # noqa: S311

    def _send(self, texts: Sequence[str]) -> Floats | _Failure:
        import httpx  # noqa: PLC0415  (must not be paid by `import qkv`)

        body: dict[str, Any] = {"model": self.model, "input": list(texts)}
        body["encoding_format"] = "float"
        if self.dimensions:
            body["dimensions"] = self.dimensions
        key = (self._key or os.environ.get("OPENAI_API_KEY") or "").strip()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            reply = self._connection().post(self.url, json=body, headers=headers)
        except httpx.TimeoutException:
            seconds = f"{self.patience.timeout:g} s"
            return _Failure(
                None,
                f"did not answer within {seconds}; give it more: "
                f"OpenAIEncoder({self.model!r}, patience=Patience(timeout=...))",
                again=True,
            )
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
            return _Failure(
                None,
                f"cannot be reached ({type(error).__name__}); see that base_url= or "
                "OPENAI_BASE_URL is right and that the server runs",
                again=True,
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # Their messages may hold the key: only what kind they are is told.
            return _Failure(
                None,
                f"cannot be asked ({type(error).__name__}); base_url is like 'http://host/v1', and "
                "a key is plain ASCII on one line",
                again=False,
            )
        return _vectors(reply, len(texts)) if reply.is_success else _refusal(reply, self.model)

    def _connection(self) -> httpx.Client:
        """The open connection; a forked process opens its own."""
        import httpx  # noqa: PLC0415

        if self._client is None or self._client[0] != os.getpid():
            timeout = httpx.Timeout(self.patience.timeout, connect=min(10, self.patience.timeout))
            self._client = os.getpid(), httpx.Client(timeout=timeout)
        return self._client[1]

    def _error(self, status: int | None, message: str) -> EndpointError:
        """The error, without key and without what a URL may hide."""
        import httpx  # noqa: PLC0415

        where = "the address"
        with suppress(httpx.InvalidURL):
            url = httpx.URL(self.url)
            where = str(url.copy_with(username=None, password=None, query=None))
        text = f"the embeddings endpoint {where} {message}"
        for secret in (self._key, os.environ.get("OPENAI_API_KEY")):
            if secret and secret.strip():
                text = text.replace(secret.strip(), "…")
        return EndpointError(text, status=status)


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Batches of so many texts and so many characters at most, at least one text each."""
    start = characters = 0
    for i, text in enumerate(texts):
        full = i - start == TEXTS or characters + len(text) > CHARACTERS
        if full and i > start:
            yield texts[start:i]
            start, characters = i, 0
        characters += len(text)
    yield texts[start:]


# ── replies ──────────────────────────────────────────────────────────────────────────────────


def _vectors(reply: httpx.Response, count: int) -> Floats | _Failure:
    """The vectors in the order of the texts, or what is wrong with the reply."""

    def broken(what: str) -> _Failure:
        return _Failure(
            reply.status_code,
            f"answered {what}; is it an embeddings endpoint of OpenAI's kind? It must answer "
            '{"data": [{"index": 0, "embedding": [numbers]}, …]}',
            again=False,
        )

    try:
        items = reply.json()["data"]
        rows = {int(item["index"]): item["embedding"] for item in items}
    except (ValueError, KeyError, TypeError):
        return broken("something that is no list of embeddings")
    if len(items) != count or sorted(rows) != list(range(count)):
        return broken(f"{len(items)} embeddings to {count} texts, or their indexes do not fit")
    try:
        vectors = np.array([rows[i] for i in range(count)], dtype=np.float32)
    except (ValueError, TypeError):
        return broken("embeddings that are no numbers, or of different lengths")
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        return broken("embeddings that are empty, or hold NaN or infinity")
    return vectors


def _refusal(reply: httpx.Response, model: str) -> _Failure:
    """What an error status means, and what to do about it."""
    status = reply.status_code
    said = _said(reply)
    quota = "insufficient_quota" in said or "billing" in said.lower()
    advice: dict[int, str] = {
        400: "the request was not understood; see that the model takes texts of this length "
        "(window=) and these dimensions",
        401: "the key is missing or not accepted; set the environment variable OPENAI_API_KEY",
        403: "the key may not use this model; set OPENAI_API_KEY to another, or ask for access",
        404: f"there is no model {model!r}, or no endpoint here; see the model's name, and that "
        "base_url= or OPENAI_BASE_URL ends where /embeddings begins (mostly in /v1)",
        429: "the account has no credit left" if quota else "too many requests; try later",
    }
    hint = advice.get(status, "the server failed; try later" if status >= 500 else "it refused")
    return _Failure(
        status,
        f"answered {status}: {hint}{f' (it said: {said})' if said else ''}",
        again=status in _AGAIN and not quota,
        wait=_asked_to_wait(reply),
    )


def _said(reply: httpx.Response) -> str:
    """The endpoint's own words, shortened."""
    try:
        told = reply.json()
        told = told.get("error", told) if isinstance(told, dict) else told
        if isinstance(told, dict):
            told = " ".join(str(told[k]) for k in ("message", "code", "detail") if told.get(k))
    except ValueError:
        told = reply.text
    return " ".join(str(told).split())[:300]


def _asked_to_wait(reply: httpx.Response) -> float | None:
    """Seconds of the Retry-After header: a number, or a date."""
    asked = reply.headers.get("retry-after", "")
    readers: tuple[Callable[[str], float], ...] = (float, _until)
    for read in readers:
        with suppress(ValueError, TypeError):
            return max(0.0, read(asked))
    return None


def _until(date: str) -> float:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  (10 ms, seldom needed)

    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
