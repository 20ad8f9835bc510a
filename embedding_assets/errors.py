"""Every error a user can meet: what is wrong, and how to mend it."""


class EmbeddingAssetsError(Exception):
    """The root of all named errors: `problem` says what is wrong, `mend` what to do about it."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem} {mend}")
        self.problem = problem
        self.mend = mend

    def __reduce__(self) -> tuple[type["EmbeddingAssetsError"], tuple[str, str]]:
        """Errors travel whole between processes."""
        return type(self), (self.problem, self.mend)


class SettingsError(EmbeddingAssetsError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(EmbeddingAssetsError):
    """The input cannot be used."""


class InputNotFoundError(InputError):
    """No file stands at the given path."""


class UnreadableInputError(InputError):
    """The file is not what its name says: truncated, damaged, of another format, a directory."""


class SchemaError(InputError):
    """A column is missing or has a type that cannot be read as the expected one."""


class EmptyInputError(InputError):
    """The input holds no row, or no row that can be used."""


class ModelError(EmbeddingAssetsError):
    """The embedding model cannot be used."""


class ModelLoadError(ModelError):
    """The model is absent, is not a Sentence Transformers model, or cannot be read."""


class ModelDamagedError(ModelError):
    """The weights are not those that were published or registered (fingerprint mismatch)."""


class ModelChangedError(ModelError):
    """The configured model is not the one that made the vectors which already exist."""


class ModelPrecisionError(ModelError):
    """The asked-for precision or device would not give this model's vectors."""


class StoreError(EmbeddingAssetsError):
    """What is stored in the data folder cannot be read or written."""


class StoreVersionError(StoreError):
    """The data folder was written under another schema version."""


class StoreDamagedError(StoreError):
    """A stored file is torn or was changed by hand."""


class StoreLockedError(StoreError):
    """Another process holds the lock of the store and did not release it in time."""


class OutputError(EmbeddingAssetsError):
    """The result cannot be written; nothing was left at the target path."""


class NotWritableError(OutputError):
    """The target folder is absent, read-only, or the target is itself a folder."""


class DiskFullError(OutputError):
    """No space was left on the device."""


class NotEnoughMemoryError(EmbeddingAssetsError):
    """The process ran into its memory limit."""


class RegistryError(EmbeddingAssetsError):
    """The model registry cannot be reached or refuses the request."""


class NotFoundError(EmbeddingAssetsError):
    """The asked-for account, item, partition or model version does not exist."""
