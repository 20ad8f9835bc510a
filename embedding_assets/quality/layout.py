"""Vectors laid out on a plane, so that a person can look at them."""

import io
import os
import subprocess
import sys
import threading

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import EmbeddingAssetsError

Points = npt.NDArray[np.float64]

LEAST = 5
"""Points below which there are no neighbourhoods to keep together."""
_PERPLEXITY = 30.0
_COMPONENTS = 30
_SHAKE = 1e-6
_TAIL = 500


class LayoutError(EmbeddingAssetsError):
    """The process that lays vectors out ended without an answer."""


def principal_plane(vectors: Vectors) -> tuple[Points, tuple[float, float]]:
    """float64 [n, 2]: the two directions in which the vectors differ most, and the share of all
    variance that each has (principal components; the largest weight of each is positive).

    vectors: float32 [n, d]. Milliseconds for thousands.
    """
    count, dimension = vectors.shape
    points = np.zeros((count, 2))
    if count < 2 or not dimension:
        return points, (0.0, 0.0)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    chosen = directions[:, ::-1][:, :2]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), range(chosen.shape[1])])
    points[:, : chosen.shape[1]] = centred @ chosen
    total = float(variances.sum())
    shares = [float(each) / total if total > 0 else 0.0 for each in variances[::-1][:2]]
    first, second = (*shares, 0.0)[:2]
    return points, (first, second)


def neighbourhood_plane(vectors: Vectors) -> Points:
    """float64 [n, 2]: near to each other is what is near to each other among the vectors; distances
    between far groups mean nothing (t-SNE; van der Maaten and Hinton 2008). Seconds for thousands;
    the same vectors give the same plane.

    vectors: float32 [n, d], at least `LEAST`.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # Equal vectors alone have no variance to divide by.
    moved = vectors + np.random.default_rng(0).normal(0.0, _SHAKE, vectors.shape)
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    with threadpool_limits(1):  # OpenMP's threads spin: on busy cores 15 points took 7 seconds
        reduced = PCA(min(_COMPONENTS, *vectors.shape), random_state=0).fit_transform(moved)
        layout = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
    return np.asarray(layout, dtype=np.float64)


class LayoutProcess:
    """`neighbourhood_plane` in a process of its own that yields to everything else on the machine.

    One layout at a time; may be shared between threads.
    """

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._state = threading.Lock()

    def plane(self, vectors: Vectors) -> Points:
        """float64 [n, 2]. Raises LayoutError when the process ends without an answer."""
        given = io.BytesIO()
        np.save(given, vectors, allow_pickle=False)
        with self._one:
            process = self._start()
            try:
                answer, said = process.communicate(given.getvalue())
            finally:
                process.kill()
                process.wait()
        if process.returncode:
            last = said.decode("utf-8", "replace").strip()[-_TAIL:]
            raise LayoutError(
                f"Laying out {len(vectors)} vectors failed ({process.returncode}): {last}",
                "Give the machine more memory; the plane of principal components remains.",
            )
        points: Points = np.load(io.BytesIO(answer), allow_pickle=False)
        return points

    def close(self) -> None:
        """End the process that runs; none is started any more."""
        with self._state:
            self._is_closed = True
            if self._running is not None:
                self._running.kill()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._state:
            if self._is_closed:
                raise LayoutError("No vectors are laid out any more.", "Open the maps again.")
            self._running = subprocess.Popen(
                [sys.executable, "-P", "-c", _SERVE, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            return self._running


_SERVE = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import serve; serve()"


def serve() -> None:
    """Lay out the vectors that come on standard input; the points go to standard output."""
    os.nice(19)
    answers, sys.stdout = sys.stdout, sys.stderr
    vectors = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    np.save(answers.buffer, neighbourhood_plane(vectors), allow_pickle=False)
    answers.flush()
