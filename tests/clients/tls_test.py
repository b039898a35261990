# SPDX-License-Identifier: Apache-2.0
"""The server over TLS, with Python's client, and certificates that change while it runs."""
import json
import pathlib
import socket
import ssl
import subprocess
import tempfile
import unittest
import warnings

import certificates
from server import PROGRAM, Server, default_model, exchange

COMPLETION = {"prompt": "Hi", "max_tokens": 8, "ignore_eos": True, "stream": True}

server = folder = None


def setUpModule():  # noqa: N802
    global server, folder
    if certificates.OPENSSL is None:
        raise unittest.SkipTest("the program openssl is not installed")
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="plait-tls-")))
    certificate, key = certificates.make(folder)
    server = unittest.enterModuleContext(Server("--tls-cert", certificate, "--tls-key", key, "--drain-seconds", "5",
                                                context=ssl.create_default_context(cafile=certificate)))


class TlsTest(unittest.TestCase):
    def test_the_address_says_so(self):
        self.assertTrue(server.url.startswith("https://"))

    def test_requests_keep_the_connection(self):
        connection = server.connect()
        self.addCleanup(connection.close)
        for _ in range(3):
            self.assertEqual(exchange(connection, "GET", "/health")[0], 200)
        self.assertIn(connection.sock.version(), ("TLSv1.2", "TLSv1.3"))

    def test_stream(self):
        status, headers, body = server.request("POST", "/v1/completions", COMPLETION)
        self.assertEqual((status, headers["content-type"]), (200, "text/event-stream; charset=utf-8"))
        self.assertTrue(body.endswith(b"data: [DONE]\n\n"))

    def test_clients_that_leave_in_the_middle(self):
        before = server.metrics()["plait_http_clients_gone_total"]
        for _ in range(3):
            connection = server.connect()
            connection.request("POST", "/v1/completions", json.dumps(COMPLETION | {"max_tokens": 4000}))
            self.assertTrue(connection.getresponse().readline().startswith(b"data: "))
            connection.sock.close()
            connection.close()
        self.assertEqual(server.sequences_when_idle(), 0)
        gone = server.wait_for(lambda metrics: metrics["plait_http_clients_gone_total"] == before + 3)
        self.assertEqual(gone["plait_http_clients_gone_total"], before + 3)

    def test_old_versions_and_weak_ciphers(self):
        for change in ({"maximum_version": ssl.TLSVersion.TLSv1_1, "minimum_version": ssl.TLSVersion.TLSv1}, {}):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0" if change else "AES256-SHA256:@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                for name, value in (change or {"maximum_version": ssl.TLSVersion.TLSv1_2}).items():
                    setattr(context, name, value)
            with self.subTest(change), self.assertRaises((ssl.SSLError, ConnectionError)):
                with socket.create_connection((server.host, server.port), timeout=20) as plain:
                    context.wrap_socket(plain).close()

    def test_plain_http_is_told_so(self):
        with socket.create_connection((server.host, server.port), timeout=20) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: plain.recv(4096), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertIn(b"tls_required", answer)


class NewCertificateTest(unittest.TestCase):
    """Files that change, and SIGHUP."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="plait-tls-")))
        self.certificate, self.key = certificates.make(self.folder, "first.example")
        context = ssl.create_default_context(cafile=self.certificate)
        self.server = self.enterContext(Server("--tls-cert", self.certificate, "--tls-key", self.key, context=context))

    def name(self):
        pem = ssl.get_server_certificate((self.server.host, self.server.port), timeout=20)
        done = subprocess.run([certificates.OPENSSL, "x509", "-noout", "-subject"], input=pem, capture_output=True,
                              text=True, check=True)
        return done.stdout.strip().rpartition(" ")[2].rpartition("=")[2]

    def test_new_files_are_for_new_connections(self):
        before = self.server.connect()
        self.addCleanup(before.close)
        self.assertEqual(exchange(before, "GET", "/health")[0], 200)
        self.assertEqual(self.name(), "first.example")
        certificates.make(self.folder, "second.example")
        self.assertTrue(self.server.wait_until_said("keys and certificates were read again"))
        self.assertEqual(self.name(), "second.example")
        self.assertEqual(exchange(before, "GET", "/health")[0], 200)

    def test_what_is_wrong_leaves_the_old_ones(self):
        self.key.write_text("nothing", encoding="utf-8")
        self.assertTrue(self.server.wait_until_said("the old keys and certificates stay"))
        self.assertEqual(self.name(), "first.example")


class StartTest(unittest.TestCase):
    """What is wrong with the files ends the start, before the model is read."""

    def start(self, *arguments):
        return subprocess.run([PROGRAM, "serve", "--port", "0", *map(str, arguments)], capture_output=True, text=True,
                              timeout=60, check=False, cwd=folder)

    @unittest.skipUnless(default_model().exists(), "the default model is not in the cache")
    def test_wrong_files(self):
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        with tempfile.TemporaryDirectory() as elsewhere:
            _, other_key = certificates.make(pathlib.Path(elsewhere))
            for arguments, code in ((("--tls-cert", certificate), 2), (("--tls-key", key), 2),
                                    (("--tls-cert", certificate, "--tls-key", folder / "absent"), 3),
                                    (("--tls-cert", certificate, "--tls-key", other_key), 3),
                                    (("--tls-cert", key, "--tls-key", certificate), 3)):
                done = self.start(*arguments)
                with self.subTest(arguments):
                    self.assertEqual(done.returncode, code, done.stderr)
                    self.assertEqual(done.stderr.count("\n"), 1)

    def test_the_rule_about_others_holds(self):
        done = self.start("--host", "0.0.0.0", "--tls-cert", folder / "certificate.pem", "--tls-key",
                          folder / "key.pem")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--keys", done.stderr)


if __name__ == "__main__":
    unittest.main()
