"""Owns the server under test: starts it on a free port, tells its address, ends it by its own pid."""

import os
import subprocess
from pathlib import Path

import requests

KEY = "a-key-for-the-clients-0123456789"
STEP_MAX_SECONDS = 60
LOG_BYTES_MAX = 8_000


class Server:
    """A server process with a data folder of its own."""

    def __init__(self, binary: str, folder: Path, *settings: str):
        self._log_path = folder / "server.log"
        self._log_from = 0
        arguments = [binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(folder / "data")]
        arguments += ["--set", "log.format=text"]
        for setting in settings:
            arguments += ["--set", setting]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SANNTID_")}
        environment["SANNTID_ADMIN_KEY"] = KEY
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        # The line comes when the server accepts; a server that fails ends its output instead.
        line = self._process.stdout.readline().strip()
        if not line.startswith("listening on http://"):
            self.stop()
            raise RuntimeError(f"the server printed {line!r}; its log:\n{self.log()}")
        self.url = line.removeprefix("listening on ")

    def mark_log(self) -> None:
        """From here on, `log` gives what is logged."""
        self._log_from = self._log_path.stat().st_size

    def log(self) -> str:
        """What the server logged since the last mark, the end of it where that is long."""
        logged = self._log_path.read_bytes()[self._log_from :]
        return logged[-LOG_BYTES_MAX:].decode(errors="replace")

    def stop(self) -> int:
        """Asks the process to end, and gives its exit status."""
        self._process.terminate()
        try:
            status = self._process.wait(STEP_MAX_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process.stdout.close()
        return status


class Http:
    """Plain HTTP with the key, for what the published client can't send or doesn't show."""

    def __init__(self, url: str):
        self.url = url
        self._session = requests.Session()
        self._session.headers["Ocp-Apim-Subscription-Key"] = KEY

    def send(self, method: str, path: str, *, expect: int, **options) -> requests.Response:
        """Sends a request that must be answered with the status `expect`."""
        answer = self._session.request(method, self.url + path, timeout=STEP_MAX_SECONDS, **options)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def get(self, path: str, *, expect: int = 200, **options) -> requests.Response:
        return self.send("GET", path, expect=expect, **options)

    def close(self) -> None:
        self._session.close()
