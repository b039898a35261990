# SPDX-License-Identifier: Apache-2.0
"""The server as a service: what it tells its manager, settings by file, and settings that change while it runs."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from server import PROGRAM, Server, run_plait


class ServiceCase(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="plait-service-")))
        self.settings = self.folder / "service.toml"

    def write(self, text):
        self.settings.write_text(text, encoding="utf-8")

    def reload(self, running, said="the settings were read again"):
        running.said.clear()
        running.process.send_signal(signal.SIGHUP)
        self.assertTrue(running.wait_until_said(said), running.said)


class NotifyTest(ServiceCase):
    def listen(self, name):
        manager = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.settimeout(120)
        manager.bind(name)
        return manager

    def test_ready_reloading_and_stopping(self):
        path = str(self.folder / "notify")
        manager = self.listen(path)
        with Server(environment={"NOTIFY_SOCKET": path}) as running:
            ready = manager.recv(4096).decode().split("\n")
            self.assertIn("READY=1", ready)
            self.assertIn(f"STATUS={running.name} answers", ready)
            self.assertEqual(running.request("GET", "/health")[0], 200)
            self.reload(running)
            reloading = manager.recv(4096).decode().split("\n")
            self.assertEqual(reloading[0], "RELOADING=1")
            self.assertRegex(reloading[1], r"MONOTONIC_USEC=\d+")
            self.assertEqual(manager.recv(4096), b"READY=1")
            running.signal()
            self.assertEqual(manager.recv(4096), b"STOPPING=1")
            self.assertEqual(running.process.wait(timeout=30), 0)

    def test_ready_comes_after_the_listening(self):
        name = f"\0plait-service-test-{os.getpid()}"
        manager = self.listen(name)
        with Server("--socket", self.folder / "http", environment={"NOTIFY_SOCKET": "@" + name[1:]}):
            self.assertTrue(manager.recv(4096).startswith(b"READY=1"))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.folder / "http"))
                client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200 "))


class SettingsFileTest(ServiceCase):
    def test_it_is_the_only_one(self):
        (self.folder / "plait.toml").write_text("threads = 7\n", encoding="utf-8")
        self.write("context = 99\n")
        for arguments in (("--config", self.settings, "config", "show", "--json"),
                          ("config", "show", "--json", "--config", self.settings)):
            done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                                  check=True)
            values = {entry["key"]: entry for entry in json.loads(done.stdout)}
            self.assertEqual((values["threads"]["value"], values["context"]["value"]), (0, 99))
            self.assertEqual(values["context"]["origin"], f"{self.settings}:1")

    def test_it_must_be_there(self):
        done = subprocess.run([PROGRAM, "--config", self.folder / "absent.toml", "config", "show"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("absent.toml", done.stderr)

    def test_serve_reads_it(self):
        self.write("[server]\nhosts = 'plait.example'\n")
        with Server("--config", self.settings) as running:
            self.assertEqual(running.request("GET", "/health", headers={"Host": "plait.example"})[0], 200)


class ReloadTest(ServiceCase):
    def test_hosts_origins_and_keys(self):
        keys = self.folder / "keys.json"
        key = run_plait("key", "add", "ann", "--file", keys).strip()
        self.write("[server]\nhosts = 'one.example'\n")
        with Server("--config", self.settings) as running:
            self.assertEqual(running.request("GET", "/v1/models", headers={"Host": "two.example"})[0], 403)
            self.write(f"[server]\nhosts = 'two.example'\norigins = 'https://page.example'\nkeys = '{keys}'\n")
            self.assertEqual(running.request("GET", "/v1/models", headers={"Host": "one.example"})[0], 200)
            self.reload(running)
            self.assertEqual(running.request("GET", "/health", headers={"Host": "one.example"})[0], 403)
            self.assertEqual(running.request("GET", "/v1/models")[0], 401)
            status, headers, _ = running.request("GET", "/v1/models", headers={"x-api-key": key,
                                                                               "Origin": "https://page.example"})
            self.assertEqual((status, headers["access-control-allow-origin"]), (200, "https://page.example"))

    def test_limits(self):
        self.write("")
        with Server("--config", self.settings) as running:
            held = running.connect()
            self.addCleanup(held.close)
            held.connect()
            self.assertEqual(running.request("GET", "/health")[0], 200)
            self.write("[server]\nconnections_per_address = 1\n")
            self.reload(running)
            self.assertEqual(running.request("GET", "/health")[0], 429)

    def test_the_access_log_is_opened_again(self):
        log, moved = self.folder / "access.jsonl", self.folder / "access.jsonl.1"
        self.write(f"[server]\naccess_log = '{log}'\n")
        with Server("--config", self.settings) as running:
            running.request("GET", "/one")
            log.rename(moved)
            running.request("GET", "/two")
            end = time.monotonic() + 20  # a line may be written after its answer was read
            while "/two" not in moved.read_text(encoding="utf-8") and time.monotonic() < end:
                time.sleep(0.05)
            self.reload(running)
            running.request("GET", "/three")
        paths = [[json.loads(line)["path"] for line in file.read_text(encoding="utf-8").splitlines()]
                 for file in (moved, log)]  # complete only now that the server has ended
        self.assertEqual(paths, [["/one", "/two"], ["/three"]])

    def test_what_is_wrong_changes_nothing(self):
        self.write("[server]\nhosts = 'one.example'\n")
        with Server("--config", self.settings) as running:
            for text in ("[server]\nhosts = 7\n", "[server", "[server]\nkeys = '/absent'\nhosts = 'two.example'\n",
                         "[server]\naccess_log = '/absent/log'\nhosts = 'two.example'\n"):
                with self.subTest(text):
                    self.write(text)
                    self.reload(running, "the old settings stay")
                    self.assertEqual(running.request("GET", "/health", headers={"Host": "one.example"})[0], 200)
                    self.assertEqual(running.request("GET", "/health", headers={"Host": "two.example"})[0], 403)
            self.settings.unlink()
            self.reload(running, "the old settings stay")

    def test_what_needs_a_new_start_is_named(self):
        self.write("threads = 1\n")
        with Server("--config", self.settings) as running:
            self.write("threads = 2\n[server]\nrows = 7\n")
            self.reload(running)
            self.assertTrue(running.wait_until_said("threads stays 1: a change needs a new start"))
            self.assertTrue(running.wait_until_said("server.rows stays 64"))

    def test_others_are_not_let_in(self):
        keys = self.folder / "keys.json"
        run_plait("key", "add", "ann", "--file", keys)
        self.write(f"[server]\nhost = '0.0.0.0'\nkeys = '{keys}'\n")
        with Server("--config", self.settings) as running:
            running.host = "127.0.0.1"
            self.write("")
            self.reload(running, "the old settings stay")
            self.assertEqual(running.request("GET", "/v1/models")[0], 401)


if __name__ == "__main__":
    unittest.main()
