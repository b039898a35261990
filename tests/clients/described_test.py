# SPDX-License-Identifier: Apache-2.0
"""The server against its own description: schemathesis invents requests for every operation of /openapi.json, right and
wrong ones, and compares what comes back with what is described. $PLAIT_LONG has it invent more."""
import os
import pathlib
import subprocess
import sys
import unittest

from server import Server

EXAMPLES = 400 if os.environ.get("PLAIT_LONG") else 4  # of each operation and phase
CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
          "response_headers_conformance", "negative_data_rejection", "allow_header_conformance")


class DescribedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server("--drain-seconds", "5", "--context", "96"))

    def test_every_route_is_described(self):
        status, document = self.server.json("GET", "/openapi.json")
        self.assertEqual(status, 200)
        self.assertEqual(document["openapi"][:3], "3.1")
        self.assertEqual(document["x-plait-undescribed"], [], "CONTRIBUTING.md says how to describe a route")
        for path, operations in document["paths"].items():
            for operation in operations.values():
                self.assertTrue(operation["summary"] and operation["operationId"], path)

    def test_replies_are_as_described(self):
        try:
            import schemathesis  # noqa: F401, PLC0415
        except ImportError:
            self.skipTest("schemathesis is not installed")
        hooks = pathlib.Path(__file__).with_name("described_hooks.py")
        environment = os.environ | {"SCHEMATHESIS_HOOKS": hooks.stem, "PYTHONPATH": str(hooks.parent)}
        command = [sys.executable, "-m", "schemathesis.cli", "run", self.server.url + "/openapi.json", "--no-color",
                   "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES), "--seed", "7", "--workers", "1",
                   "--generation-database", "none", "--request-timeout", "60",
                   "--exclude-path", "/v1/strands/{id}/events"]  # it ends with its strand
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.server.folder.name,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-2000:])
        self.assertIsNone(self.server.process.poll(), "the server ended")


if __name__ == "__main__":
    unittest.main()
