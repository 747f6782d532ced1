"""Opens a page in headless Chromium by the DevTools protocol over a pipe. Needs Python's standard library and Chromium."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


# A busy machine takes seconds for what takes milliseconds.
ANSWER_SECONDS = 20


def find():
    """The path of Chromium; None if there is none."""
    named = os.environ.get("GRADSHARD_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A Chromium with one page. Errors of the page's scripts are collected in `errors`."""

    def __init__(self):
        self.directory = tempfile.mkdtemp()
        ours, theirs = os.pipe(), os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        script = f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$@" 2>/dev/null'
        command = [find(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--disable-extensions", "--disable-background-networking", "--no-first-run", "--remote-debugging-pipe"]
        command += [f"--user-data-dir={self.directory}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", script, "browser", *command], pass_fds=(ours[0], theirs[1]), stdout=subprocess.DEVNULL
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.to, self.back = os.fdopen(ours[1], "wb"), os.fdopen(theirs[0], "rb")
        self.left, self.number, self.session, self.errors = b"", 0, None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log"):
            self.ask(f"{part}.enable")

    def ask(self, method, **parameters):
        """Sends a command and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while True:
            answer = self.next()
            if answer.get("id") == self.number:
                assert "result" in answer, (method, answer)
                return answer["result"]

    def next(self):
        while b"\0" not in self.left:
            assert select.select([self.back], [], [], ANSWER_SECONDS)[0], f"Chromium is silent for {ANSWER_SECONDS} s"
            more = os.read(self.back.fileno(), 1 << 20)
            assert more, "Chromium ended"
            self.left += more
        message, self.left = self.left.split(b"\0", 1)
        message = json.loads(message)
        if message.get("method") == "Runtime.exceptionThrown":
            details = message["params"]["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details.get("text")))
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.errors.append(message["params"]["entry"]["text"])
        return message

    def open(self, path):
        self.ask("Page.navigate", url="file://" + os.path.abspath(path))
        deadline = time.monotonic() + 10
        while self.run("document.readyState") != "complete" or self.run("location.protocol") != "file:":
            assert time.monotonic() < deadline, f"{path} does not load"
            time.sleep(0.05)

    def run(self, expression):
        """The value of an expression of JavaScript in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, (expression, answer)
        return answer["result"].get("value")

    def mouse(self, kind, x, y, **more):
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y, count=1):
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=count)

    def place(self, element):
        """Scrolls to an element, given as JavaScript, and returns its middle."""
        found = self.run(
            f"(() => {{ const one = {element}; one.scrollIntoView({{block: 'center', behavior: 'instant'}});"
            " const box = one.getBoundingClientRect();"
            " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
        )
        # The event of the scrolling comes with the next frame. A page that does not change may have none.
        frames = "new Promise(done => { requestAnimationFrame(() => requestAnimationFrame(done)); setTimeout(done, 200); })"
        self.ask("Runtime.evaluate", expression=frames, awaitPromise=True)
        return found

    def resize(self, width, height, mobile=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def screenshot(self, path):
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        try:
            self.session = None
            self.ask("Browser.close")
        except (AssertionError, OSError):
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
