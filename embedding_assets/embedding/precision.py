"""Which arithmetic a model's vectors are computed in: measured once, written down, kept."""

import json
import os
import platform
import time
import uuid
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from embedding_assets.aside import aside
from embedding_assets.embedding.bert import supports
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.model import ModelFiles
from embedding_assets.embedding.probes import PROBES
from embedding_assets.embedding.sentence import (
    SentenceNetwork,
    best_device,
    load_sentence_transformer,
)
from embedding_assets.embedding.transformer import (
    BERT,
    SENTENCE_TRANSFORMERS,
    STATIC,
    TransformerEncoder,
    build_encoder,
)
from embedding_assets.embedding.windows import TextReader
from embedding_assets.embedding.workers import single_thread_workers
from embedding_assets.errors import ModelPrecisionError, SettingsError, StoreDamagedError
from embedding_assets.storage.files import flush, named_errors

MIN_COSINE = 0.999
"""The least cosine to float32 at which bfloat16 may be chosen."""
MAX_DEVIATION = 1e-5
"""The largest difference of a component at which two float32 paths count as equal."""
_REQUESTS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How the bert back end compares to Sentence Transformers in float32, on this processor.

    float32_deviation: largest difference of a component in its float32; None where the back end
    does not apply: another architecture, or an accelerator at hand.
    bfloat16_cosine, bfloat16_speedup: least cosine of its bfloat16, and how many times as fast as
    its float32 that is; None where the processor has no such arithmetic.
    """

    float32_deviation: float | None = None
    bfloat16_cosine: float | None = None
    bfloat16_speedup: float | None = None
    probes: int = 0
    processor: str = ""


@dataclass(frozen=True, kw_only=True)
class PrecisionReport(Measurement):
    """The arithmetic that was chosen for one model's content, with the measurement behind it.

    precision: `float32` or `bfloat16`. backend: `bert`, `static` or `sentence-transformers`.
    min_cosine: the chosen one's least cosine to Sentence Transformers in float32; 1 for float32,
    which is chosen only when no component differs by more than MAX_DEVIATION.
    """

    content_sha256: str
    precision: str
    backend: str
    min_cosine: float


def pin(model: ModelFiles, models_dir: Path, requested: str = "auto") -> PrecisionReport:
    """The precision of `model`: measured the first time, and the same from then on.

    requested: `auto`, `float32` or `bfloat16`.
    The measurement is kept under `models_dir`; processes that pin at once get the same answer.
    Raises ModelPrecisionError when bfloat16 is asked for and the model or the processor does not
    allow it, SettingsError for another word, StoreDamagedError for a damaged file.
    """
    if requested not in _REQUESTS:
        raise SettingsError(
            f"The precision {requested!r} is unknown.", f"Choose one of {', '.join(_REQUESTS)}."
        )
    path = models_dir / "precision" / f"{model.content_sha256}.json"
    if not path.exists():
        _publish(aside(measure_precision, model), path)
    report = _read(path)
    return report if requested == "auto" else choose(model, report, requested)


def measure_precision(model: ModelFiles) -> PrecisionReport:
    """Compare the bert back end to Sentence Transformers on the probes, and choose."""
    return choose(model, _measure(model), "auto")


def choose(model: ModelFiles, measured: Measurement, requested: str) -> PrecisionReport:
    """The precision and back end that `measured` allows.

    bfloat16 must come within MIN_COSINE of float32 and, for `auto`, be faster.
    Raises ModelPrecisionError when bfloat16 was requested and is not close enough.
    """
    cosine = measured.bfloat16_cosine
    close = cosine is not None and cosine >= MIN_COSINE
    if requested == "bfloat16" and not close:
        raise ModelPrecisionError(
            f"bfloat16 is not to be had from {model.name} on this processor: least cosine to "
            f"float32 {cosine} (needed {MIN_COSINE}; None: no such arithmetic here).",
            "Set model.precision to auto or float32.",
        )
    faster = (measured.bfloat16_speedup or 0.0) > 1.0
    rough = close and (requested == "bfloat16" or (requested == "auto" and faster))
    deviation = measured.float32_deviation
    agrees = deviation is not None and deviation <= MAX_DEVIATION
    return PrecisionReport(
        content_sha256=model.content_sha256,
        precision="bfloat16" if rough else "float32",
        backend=STATIC if model.layout.is_static else BERT if agrees else SENTENCE_TRANSFORMERS,
        min_cosine=cosine if rough and cosine is not None else 1.0,
        **{field.name: getattr(measured, field.name) for field in fields(Measurement)},
    )


def _measure(model: ModelFiles) -> Measurement:
    if not supports(model.layout) or best_device() != "cpu":
        return Measurement(processor=_processor())
    reference = _reference(model)
    exact, exact_seconds = _bert(model, "float32")
    deviation = float(np.abs(exact - reference).max())
    if deviation > MAX_DEVIATION or not native_bfloat16():
        return Measurement(float32_deviation=deviation, probes=len(PROBES), processor=_processor())
    rough, rough_seconds = _bert(model, "bfloat16")
    return Measurement(
        float32_deviation=deviation,
        bfloat16_cosine=float((rough * reference).sum(axis=1).min()),
        bfloat16_speedup=exact_seconds / rough_seconds,
        probes=len(PROBES),
        processor=_processor(),
    )


def native_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (AVX512-BF16, AMX)."""
    import torch

    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16"))


def _reference(model: ModelFiles) -> Vectors:
    """What Sentence Transformers gives for the probes, and its windows for those it would cut."""
    network = load_sentence_transformer(model.folder, "cpu")
    reader = TextReader.of(network.tokenizer.backend_tokenizer, model.window, model.layout.prompt)
    encoder = TransformerEncoder(
        SentenceNetwork(network), reader, model.dimension, "", single_thread_workers(None)
    )
    encoding = encoder.encode(PROBES)
    vectors = encoding.vectors
    whole = np.flatnonzero(encoding.windows == 1)
    vectors[whole] = network.encode(
        [PROBES[index] for index in whole], normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


def _bert(model: ModelFiles, precision: str) -> tuple[Vectors, float]:
    """Vectors of the probes and the seconds they take once everything is warm."""
    encoder = build_encoder(model.layout, precision, BERT, "")
    encoder.encode(PROBES)
    start = time.perf_counter()
    vectors = encoder.encode(PROBES).vectors
    return vectors, time.perf_counter() - start


def _processor() -> str:
    import torch

    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor()
    return f"{name} ({platform.machine()})"


def _publish(report: PrecisionReport, path: Path) -> None:
    """Write the report unless another process was first."""
    with named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            staged.write_text(json.dumps(asdict(report), indent=2) + "\n")
            flush(staged)
            os.link(staged, path)
        except FileExistsError:
            pass
        finally:
            staged.unlink(missing_ok=True)


def _read(path: Path) -> PrecisionReport:
    try:
        return PrecisionReport(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise StoreDamagedError(
            f"The pinned precision {path} is damaged: {error}.",
            "Delete the file; the precision is then measured again.",
        ) from error
