"""Every setting with its default: defaults < YAML file < environment. The only reader of both."""

import os
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)
from yaml import YAMLError

from embedding_assets.errors import SettingsError

PREFIX = "EMBEDDING_ASSETS_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
DEFAULT_CONFIG = Path("embedding_assets.yaml")
EXACT_UP_TO = 20_000
DEFAULT_LABELS = "data/input/labels"
DEFAULT_ENTITIES = "data/input/entities"


class Group(BaseModel):
    """Settings that belong together; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordSettings(Group):
    """Where order records come from and how they are cut into days."""

    source: str = Field(
        "data/input/records", description="Folder or glob of the Parquet files with order records."
    )
    start_date: date = Field(
        date(2026, 1, 1), description="First day partition (UTC); earlier rows are quarantined."
    )
    history_days: int = Field(
        90, ge=1, le=3660, description="Days of history in an account's text, its own day included."
    )


class DocumentSettings(Group):
    """Where documents come from, how they are read and how they are cut."""

    source: str = Field("data/input/documents", description="Watched folder of the documents.")
    passwords: tuple[SecretStr, ...] = Field(
        (), description="Passwords that are tried on encrypted PDFs, as a JSON list."
    )
    ocr: bool = Field(
        True, description="Read scanned pages with Tesseract where that is installed."
    )
    chunk_tokens: int | None = Field(
        None, ge=16, description="Tokens of a chunk at the most; empty: the model's window."
    )
    chunk_overlap: int = Field(
        0, ge=0, description="Tokens that a chunk repeats of the one before it in its section."
    )
    workers: int | None = Field(
        None, ge=1, description="Processes that read files; empty: one per usable core."
    )
    file_seconds: float = Field(
        120.0,
        gt=0,
        description="CPU seconds that reading one file may take; four times as much by the clock.",
    )
    file_memory_mb: int = Field(
        2048, ge=128, description="Memory that reading one file may take (MB)."
    )
    max_file_mb: int = Field(500, ge=1, description="Larger files are refused (MB).")
    settle_seconds: float = Field(
        2.0, ge=0, description="A file changed less than this ago may still be being written (s)."
    )
    output: str | None = Field(
        None,
        description="Folder of what `ingest` writes; empty: <data_dir>/ingested.",
    )


class ClassificationSettings(Group):
    """What the categories of documents are learnt from, and when none is given."""

    labels: str | None = Field(
        DEFAULT_LABELS,
        description="Labelled texts: a table (CSV, TSV, Parquet, JSONL) with `text` and `label` or "
        "`category`, or a folder with a folder or text file per category; empty, or the default "
        "that is not there: none.",
    )
    categories: str | None = Field(
        None,
        description="YAML or JSON file with the names and descriptions of categories; enough by "
        "itself.",
    )
    abstain: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of texts, the least probable ones, that get no category; without labels "
        "the number of categories decides.",
    )
    max_texts: int = Field(
        20_000, ge=2, description="Labelled texts that are learnt from at most; rare ones are kept."
    )

    @property
    def labelled(self) -> str | None:
        """Where the labelled texts are; None where there are none."""
        return _unless_absent(self.labels, DEFAULT_LABELS)


class EntitySettings(Group):
    """What entities are found in documents, and by what."""

    training: str | None = Field(
        DEFAULT_ENTITIES,
        description="Labelled file, or folder of them, that the entity model is trained on: CoNLL "
        "columns, or JSON with spans; empty, or the default that is not there: no model.",
    )
    encoder: str = Field(
        "all-MiniLM-L6-v2", description="BERT model that the entity model is trained from."
    )
    seed: int = Field(0, ge=0, description="Seed of the training.")
    patterns: tuple[str, ...] = Field(
        (),
        description="Built-in patterns, as a JSON list: money, date, percent, email, isin, iban, "
        "url.",
    )
    expressions: tuple[str, ...] = Field(
        (), description="Own patterns in RE2 syntax, as a JSON list of LABEL=EXPRESSION."
    )
    gazetteer: str | None = Field(
        None,
        description="Known names: CSV with name and label, LABEL.txt with a name a line, or a "
        "folder of these.",
    )

    @property
    def labelled(self) -> str | None:
        """Where the labelled texts are; None where there are none."""
        return _unless_absent(self.training, DEFAULT_ENTITIES)


class SearchSettings(Group):
    """How documents are searched, and how search is judged."""

    keep_versions: int = Field(
        3, ge=1, description="Versions of the index that are kept to go back to."
    )
    exact_up_to: int = Field(
        EXACT_UP_TO, ge=0, description="Chunks up to which vectors are searched exactly."
    )
    evaluation: str | None = Field(
        None,
        description="Folder of labelled queries that `search_evaluation` judges search by; empty: "
        "none.",
    )
    postgres_url: SecretStr | None = Field(
        None, description="PostgreSQL with pgvector that document vectors are published to."
    )


class ModelSettings(Group):
    """Which embedding model makes the vectors, and how it runs."""

    name: str = Field(
        "all-MiniLM-L6-v2",
        description="Packaged name, Sentence Transformers folder, .tar.gz archive of one, or the "
        "name of a model in the local Hugging Face cache.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="auto measures once per model and pins bfloat16 when its minimum cosine to "
        "float32 is at least 0.999.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    threads: int | None = Field(
        None, ge=1, description="Encoding threads; empty: one per usable core."
    )


class TrainingSettings(Group):
    """How `domain_model` is made of the texts that are stored here."""

    base: str = Field(
        "all-MiniLM-L6-v2", description="Model that it is made from, named as in `model.name`."
    )
    kind: Literal["adapted", "static"] = Field(
        "adapted",
        description="adapted fine-tunes the base on the stored texts; static distils it to one "
        "vector per token, far quicker and less good.",
    )
    steps: int = Field(
        40, ge=1, le=100_000, description="Steps of fine-tuning; what bounds its time."
    )
    batch: int = Field(32, ge=8, le=1_024, description="Pairs of texts of a step.")
    tokens: int = Field(64, ge=8, description="Tokens of a text that are trained on at most.")
    rate: float = Field(2e-5, gt=0, lt=1, description="Highest learning rate.")
    kept: float = Field(
        0.5, ge=0, lt=1, description="Share of the base's weights in the mean with the new ones."
    )
    seed: int = Field(0, ge=0, description="Decides the order of the texts.")


class ReleaseSettings(Group):
    """What a new model must reach before it may serve, and how long the one before is kept."""

    margin: float = Field(
        0.02,
        ge=0,
        description="How much lower a mean over the same queries may be, however unsure that is.",
    )
    recall: float = Field(
        0.98, ge=0, le=1, description="Recall of the index against exact search, at the least."
    )
    overlap: float = Field(
        0.2, ge=0, le=1, description="Share of the ten nearest that both models find, at the least."
    )
    duplicates: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of texts that lose a vector of their own, at the most.",
    )
    valid_hours: float = Field(
        72.0, gt=0, description="Hours after which the gates' results are stale."
    )
    keep_days: float = Field(
        14.0,
        ge=0,
        description="Days in which a model that left can be gone back to, and that one which was "
        "made or fetched is kept unused.",
    )


class MlflowSettings(Group):
    """Where model versions and the runs that made vectors are recorded."""

    tracking_uri: str | None = Field(
        None,
        description="MLflow server or database; empty: MLFLOW_TRACKING_URI, else "
        "<data_dir>/mlflow.db.",
    )
    experiment: str = Field("embedding_assets", description="MLflow experiment of the runs.")


class SimilaritySettings(Group):
    """How many neighbours are kept for accounts and items."""

    top: int = Field(10, ge=1, le=1000, description="Neighbours kept per account and per item.")


class AutomationSettings(Group):
    """When the graph runs by itself."""

    lookback_days: int = Field(
        30, ge=1, description="Days in which the backfill schedule looks for missing and stale."
    )
    sensor_seconds: int = Field(
        30, ge=1, description="Seconds between two looks of the sensor at the record files."
    )
    retries: int = Field(
        3, ge=0, description="Further tries of a step that failed for a reason that may pass."
    )
    retry_seconds: float = Field(
        10.0, ge=0, description="Wait before the first of them (s); twice as long before each next."
    )


class AlertSettings(Group):
    """Who is told, beside the log, when something is wrong."""

    webhook_url: SecretStr | None = Field(
        None, description="URL that gets each alert as a JSON POST; empty: none."
    )
    email_to: tuple[str, ...] = Field(
        (), description="Addresses that get each alert by e-mail, as a JSON list; empty: none."
    )
    email_from: str | None = Field(
        None, description="Sender of the e-mails; empty: embedding_assets@<host name>."
    )
    smtp_host: str = Field("localhost", description="Mail server.")
    smtp_port: int | None = Field(
        None, ge=1, le=65_535, description="Its port; empty: 587, 465 or 25 by smtp_security."
    )
    smtp_security: Literal["starttls", "ssl", "none"] = Field(
        "starttls", description="How the way to the mail server is encrypted."
    )
    smtp_user: str | None = Field(None, description="Account on the mail server; empty: no login.")
    smtp_password: SecretStr | None = Field(None, description="Its password.")
    timeout_seconds: float = Field(
        10.0, gt=0, le=60, description="How long one try of one way may take (s)."
    )
    quiet_minutes: float = Field(
        60.0, ge=0, description="The same thing is told once in this time (min)."
    )
    most_an_hour: int = Field(
        20, ge=1, description="Most alerts that go out in an hour by each way."
    )
    stale_hours: float = Field(
        36.0, gt=1, description="Time after which an asset that is made nightly is too old (h)."
    )
    overdue_hours: float = Field(
        6.0, gt=0, description="Time after which something that is due and not made is told (h)."
    )


class AppSettings(Group):
    """Where the tables of apps come from."""

    source: str = Field(
        "data/input/apps",
        description="Folder of sample_apps.csv, historical_performance.csv and "
        "mock_embeddings_<version>.pkl.",
    )
    versions: tuple[str, ...] = Field(
        ("v1", "v2"),
        min_length=1,
        description="Versions of the app vectors, as a JSON list; each is a partition.",
    )


class ServiceSettings(Group):
    """How the service answers, and whom."""

    database_url: SecretStr | None = Field(
        None,
        description="Database of keys, limits and experiments: sqlite:///… or postgresql://…; "
        "empty: <data_dir>/service.db.",
    )
    keys: Literal["auto", "always", "never"] = Field(
        "auto",
        description="auto needs no key on a loopback address until one was created.",
    )
    hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="Host names that requests may name, as a JSON list; * allows all.",
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the service, as a JSON list."
    )
    requests_per_minute: int = Field(
        600, ge=1, description="Requests per minute of a key that has no limit of its own."
    )
    requests_per_day: int = Field(
        100_000, ge=1, description="Requests per day (UTC) of a key that has no quota of its own."
    )
    wrong_keys_per_minute: int = Field(
        30, ge=1, description="Requests per minute of one address with keys that are not valid."
    )
    max_body_mb: float = Field(2.0, gt=0, description="Largest body of a request (MB).")
    timeout_seconds: float = Field(
        10.0, gt=0, description="Time after which a request is given up (s)."
    )
    max_k: int = Field(100, ge=1, le=10_000, description="Most results of one query.")
    max_batch: int = Field(64, ge=1, le=10_000, description="Most queries or texts of a request.")
    query_cache: int = Field(10_000, ge=0, description="Query vectors kept in memory.")
    drain_seconds: float = Field(
        10.0, ge=0, description="How long requests may go on after the service was told to end (s)."
    )


class DriftSettings(Group):
    """When vectors and scores count as drifted, and what is kept of searches to see it."""

    days: int = Field(7, ge=1, le=31, description="Days of the window that is judged.")
    reference_days: int = Field(
        90, ge=1, le=3660, description="Days before the window that it is compared with."
    )
    level: float = Field(
        0.05,
        ge=0.01,
        lt=1,
        description="How often chance alone may raise an alert, in each window.",
    )
    most_units: int = Field(
        2_000, ge=50, le=5_000, description="Documents, accounts or queries that are compared."
    )
    query_log: bool = Field(
        True, description="Keep vectors and figures of searches, without texts and users."
    )
    query_texts: bool = Field(False, description="Keep the texts of searches, too.")
    query_log_days: int = Field(120, ge=1, description="Days that searches are kept.")
    queries_per_day: int = Field(
        1_000, ge=1, le=100_000, description="Queries that a process of the service keeps of a day."
    )


class StorageSettings(Group):
    """Limits of what is kept on disk and held in memory."""

    vector_budget_gb: float = Field(
        50.0, gt=0, description="Size at which the oldest unused vectors are dropped (GB)."
    )
    lock_timeout_seconds: float = Field(
        300.0, gt=0, description="How long a writer waits for another one before it gives up."
    )
    query_memory_mb: int = Field(
        384, ge=64, description="Memory of one DuckDB query before it spills to disk (MB)."
    )


class LogSettings(Group):
    """How log lines look."""

    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto is console on a terminal and JSON elsewhere."
    )
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level.")


class Settings(BaseSettings):
    """All settings; `EMBEDDING_ASSETS_RECORDS__SOURCE` names `records.source`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
    )

    data_dir: Annotated[
        Path, AfterValidator(Path.expanduser), Field(description="Folder of all that is produced.")
    ] = Path("data/store")
    records: RecordSettings = RecordSettings()
    documents: DocumentSettings = DocumentSettings()
    classification: ClassificationSettings = ClassificationSettings()
    entities: EntitySettings = EntitySettings()
    search: SearchSettings = SearchSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    release: ReleaseSettings = ReleaseSettings()
    mlflow: MlflowSettings = MlflowSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    apps: AppSettings = AppSettings()
    service: ServiceSettings = ServiceSettings()
    automation: AutomationSettings = AutomationSettings()
    alerts: AlertSettings = AlertSettings()
    drift: DriftSettings = DriftSettings()
    storage: StorageSettings = StorageSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the YAML file; nothing else."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, config_file())

    @property
    def tracking_uri(self) -> str:
        """The MLflow store in use: the setting, else MLFLOW_TRACKING_URI, else a local file."""
        configured = self.mlflow.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        return configured or f"sqlite:///{self.data_dir.resolve() / 'mlflow.db'}"


def config_file() -> Path | None:
    """The YAML file in use, or None when there is none.

    Raises SettingsError when EMBEDDING_ASSETS_CONFIG names a file that does not exist.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None
    if not Path(named).is_file():
        raise SettingsError(
            f"{CONFIG_VARIABLE} names {named}, which is no file.",
            "Create it or unset the variable.",
        )
    return Path(named)


def load_settings(**overrides: Any) -> Settings:
    """The validated settings of this process.

    Raises SettingsError naming each wrong setting, where it was read and what is allowed.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_explain(problem) for problem in error.errors()) + ".",
            f"Mend the YAML file ({config_file() or 'none in use'}) or the environment.",
        ) from None
    except (SourceError, YAMLError, ValueError) as error:
        raise SettingsError(
            f"The settings cannot be read: {error}.", "Mend the YAML file or the environment."
        ) from error


def _unless_absent(path: str | None, default: str) -> str | None:
    """A path that a setting names; None for an empty one, and for a default that is not there."""
    is_absent = path == default and not Path(default).exists()
    return None if not path or is_absent else path


def _refuse_unknown_variables() -> None:
    """Refuse misspelled variables, which pydantic-settings would ignore in silence."""
    known = {CONFIG_VARIABLE, *(f"{PREFIX}{name.upper()}" for name in setting_names())}
    groups = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for variable in os.environ:
        name = variable.upper()
        if name.startswith(PREFIX) and name not in known | groups:
            raise SettingsError(
                f"The environment variable {variable} names no setting.",
                "Unset it or correct its name; `embedding-assets settings` lists them all.",
            )


def setting_names() -> list[str]:
    """Every setting as its environment name without prefix: `records__source`."""
    names = []
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Group):
            names += [f"{name}__{inner}" for inner in group.model_fields]
        else:
            names.append(name)
    return names


def _explain(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"'{where}' is not a setting"
    return f"{where} = {problem['input']!r}: {problem['msg']}"
