"""`make ui`: Dagster, with its daemon, and MLflow on local ports until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from embedding_assets.demo import DAGSTER_HOME, ROOT
from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.settings import load_settings
from embedding_assets.workspace import open_workspace

_HOST = "127.0.0.1"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PYTHONWARNINGS": "ignore::DeprecationWarning,ignore::UserWarning",
}


def main() -> None:
    """Run both servers; exits with 1 and a reason when one cannot start or ends."""
    os.chdir(ROOT)
    os.environ.setdefault("DAGSTER_HOME", str(DAGSTER_HOME))
    try:
        commands = servers(
            int(os.environ.get("DAGSTER_PORT", "3000")), int(os.environ.get("MLFLOW_PORT", "5000"))
        )
        _serve(commands)
    except EmbeddingAssetsError as error:
        raise SystemExit(f"error: {error.problem}\n       {error.mend}") from None


def servers(dagster_port: int, mlflow_port: int) -> dict[str, list[str]]:
    """The command of each server by its address.

    Raises EmbeddingAssetsError when a port is taken.
    """
    workspace = open_workspace(load_settings())
    for port, variable in ((dagster_port, "DAGSTER_PORT"), (mlflow_port, "MLFLOW_PORT")):
        _require_free(port, variable)
    commands = {
        f"http://{_HOST}:{dagster_port}": [
            "dagster", "dev", "--workspace", "workspace.yaml", "--host", _HOST,
            "--port", str(dagster_port), "--log-level", "warning",
        ],
    }  # fmt: skip
    if workspace.settings.tracking_uri.startswith("sqlite:"):
        artifacts = (workspace.data_dir.resolve() / "mlflow").as_uri()
        commands[f"http://{_HOST}:{mlflow_port}"] = [
            "mlflow", "server", "--backend-store-uri", workspace.settings.tracking_uri,
            "--default-artifact-root", artifacts, "--host", _HOST, "--port", str(mlflow_port),
            "--workers", "1", "--uvicorn-opts", "--log-level warning",
        ]  # fmt: skip
    return {url: [sys.executable, "-m", *command] for url, command in commands.items()}


def _serve(commands: dict[str, list[str]]) -> None:
    environment = {**os.environ, **_QUIET}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # A shell's background job starts with SIGINT ignored, and its children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    running = {
        url: subprocess.Popen(command, env=environment, stdout=sys.stderr, start_new_session=True)
        for url, command in commands.items()
    }
    try:
        for url, process in running.items():
            _wait_until_it_answers(url, process)
        print("\n".join(["", *(f"{c[2]:8} {u}" for u, c in commands.items()), "Ctrl-C ends both."]))
        sys.stdout.flush()
        while all(process.poll() is None for process in running.values()):
            time.sleep(0.5)
        raise EmbeddingAssetsError("A server has ended.", "Its last lines above tell why.")
    except KeyboardInterrupt:
        pass
    finally:
        _end(list(running.values()))


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
    raise EmbeddingAssetsError(f"{url} did not start.", "Its last lines above tell why.")


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        if process.poll() is None:
            # Each one's own way to end without a traceback.
            stop = signal.SIGINT if "dagster" in str(process.args) else signal.SIGTERM
            os.killpg(process.pid, stop)
    for process in processes:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _require_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((_HOST, port)) == 0:
            raise EmbeddingAssetsError(
                f"The port {port} is in use.",
                f"Set {variable} to another one: {variable}=4000 make ui",
            )


if __name__ == "__main__":
    main()
