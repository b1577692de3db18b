"""A real browser without a window, driven over a pipe by the protocol of its developer tools."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60  # seconds until an answer that does not come is a failure
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
    "--disable-dev-shm-usage", "--disable-background-networking", "--window-size=1400,900",
]  # fmt: skip


def _descriptors(commands, answers):
    """The browser reads from its descriptor 3 and writes to 4."""
    high = [fcntl.fcntl(d, fcntl.F_DUPFD, 10) for d in (commands, answers)]
    for target, d in zip((3, 4), high, strict=True):
        os.dup2(d, target)


class Browser:
    """One page. What it writes to its console, and what it throws, is kept in ``said``."""

    def __init__(self, scheme="light"):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self.profile.name}"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=(3, 4), preexec_fn=lambda: _descriptors(commands, answers),
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self._number, self._buffer, self.said, self._session = 0, b"", [], None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")
        self.emulate(scheme)

    def __call__(self, method, **params):
        """The answer to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            assert time.monotonic() < end, "the browser does not answer"
            data = os.read(self._from, 1 << 20)
            assert data, "the browser ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        heard = json.loads(message)
        self._note(heard)
        return heard

    def _note(self, heard):
        method, params = heard.get("method"), heard.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.said.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
        if method == "Runtime.consoleAPICalled":
            self.said.append(str(params["args"]))
        if method == "Log.entryAdded":
            self.said.append(params["entry"]["text"])
        if method == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:")):
            self.said.append(f"asked for {params['request']['url']}")

    def emulate(self, scheme):
        """Light or dark."""
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path, fragment=""):
        """Load a file and wait until its scripts have run."""
        # by way of nothing: another fragment alone would load nothing
        for url in ("about:blank", Path(path).resolve().as_uri() + fragment):
            self("Page.navigate", url=url)
            end = time.monotonic() + PATIENCE
            start = url.partition("#")[0]
            while not self.run(f"location.href.startsWith({json.dumps(start)}) && document.readyState === 'complete'"):
                assert time.monotonic() < end, f"{url} does not load"

    def run(self, expression):
        """The value of a script's expression; of a promise, what it comes to."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, *keys):
        """Type keys."""
        for key in keys:
            text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
            self("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
            self("Input.dispatchKeyEvent", type="keyUp", key=key)

    def mouse(self, kind, x, y, **more):
        """Move, press or release the mouse."""
        self("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        """Press and release the button."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def picture(self, path):
        """A screenshot as PNG."""
        Path(path).write_bytes(base64.b64decode(self("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        """End the browser."""
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to)
        os.close(self._from)
        self.profile.cleanup()
