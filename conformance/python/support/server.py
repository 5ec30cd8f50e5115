"""The server under test, as a process that is started, watched and stopped by its id."""

import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef"
AUTH_TOKEN = "6f1f0b3c6a1d4a0c9d7e5b2a18c4f3e7"

READY = re.compile(r"^pointsman ready on (http://\S+)$")
READY_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 15.0


def binary() -> Path:
    """The program under test: `POINTSMAN_BINARY`, else the release build of this checkout."""
    default = Path(__file__).resolve().parents[3] / "target" / "release" / "pointsman"
    return Path(os.environ.get("POINTSMAN_BINARY", default)).resolve()


class Server:
    """One `pointsman serve` on a free port. `start` returns when it is ready to be used."""

    def __init__(self, data_dir: Path, *options: str, environment: dict[str, str] | None = None):
        self.data_dir = Path(data_dir)
        self.options = options
        self.environment = environment or {}
        self.process: subprocess.Popen | None = None
        self.url = ""
        self.log_path = self.data_dir.parent / f"{self.data_dir.name}.log"
        #: What the program is started with: a command that becomes it.
        self.prefix: list[str] = []
        #: Where the log goes instead: the path of a device, or the end of a pipe.
        self.log_to: str | int | None = None

    def start(self, listen: str = "127.0.0.1:0") -> "Server":
        """Starts the process and waits for the ready line."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
        environment.update(POINTSMAN_ACCOUNT_SID=ACCOUNT_SID, POINTSMAN_AUTH_TOKEN=AUTH_TOKEN, **self.environment)
        command = [*self.prefix, str(binary()), "serve", "--listen", listen, "--data-dir", str(self.data_dir), *self.options]
        with open(self.log_to or self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read_lines, args=(self.process.stdout, lines), daemon=True).start()
        deadline = time.monotonic() + READY_SECONDS_MAX
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self.kill()
            raise AssertionError(f"no ready line within {READY_SECONDS_MAX} s; standard error:\n{self.log()}") from None
        match = READY.match(line or "")
        if match is None:
            self.kill()
            raise AssertionError(f"the first line was {line!r}, not the ready line; standard error:\n{self.log()}")
        self.url = match.group(1)
        return self

    def resident_bytes(self) -> int:
        """The memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) * 1024

    def stop(self) -> int:
        """Asks the process to stop (SIGTERM) and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {STOP_SECONDS_MAX} s after SIGTERM:\n{self.log()}") from None

    def kill(self) -> None:
        """Ends the process at once (SIGKILL), as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """The last lines of its standard error."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-40:])


def _read_lines(stream, lines: "queue.Queue[str | None]") -> None:
    """Passes on every line, so that the pipe never fills up; None at the end."""
    for line in stream:
        lines.put(line.rstrip("\n"))
    lines.put(None)
