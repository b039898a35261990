# SPDX-License-Identifier: Apache-2.0
"""The report of `./test --long` keeps what other parts came to."""
import pathlib
import tempfile
import unittest
import unittest.mock

import planted  # noqa: F401  it puts tools/ on the path

import long_report
import run_tests


def counted(title: str, note: str) -> run_tests.Tally:
    tally = run_tests.Tally("")
    tally.passed = 3
    tally.sections.append((title, 3, 0, 0, 12.0))
    tally.notes.append(note)
    return tally


class LongReport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.report = pathlib.Path(folder.name) / "reports/long.md"
        patch = unittest.mock.patch.object(long_report, "REPORT", self.report)
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_part_replaces_itself_only(self):
        long_report.write_part("fuzz", "", counted("fuzz targets", "first"))
        long_report.write_part("load", "", counted("mixed load", "well"))
        long_report.write_part("fuzz", "json", counted("fuzz targets", "second"))
        sections = long_report.read_sections(self.report.read_text(encoding="utf-8"))
        self.assertEqual(["fuzz", "load"], list(sections))
        self.assertIn("- second", sections["fuzz"])
        self.assertNotIn("- first", sections["fuzz"])
        self.assertIn("only `json`", sections["fuzz"])
        self.assertIn("| mixed load | 3 | 0 | 0 | 12 |", sections["load"])

    def test_a_total_is_the_sum_of_its_parts(self):
        total, failed = run_tests.Tally(""), run_tests.Tally("")
        failed.failed, failed.failures = 1, ["load"]
        total.add(counted("a", "b"))
        total.add(failed)
        self.assertEqual((3, 1, 0), total.counts())
        self.assertEqual(["load"], total.failures)


if __name__ == "__main__":
    unittest.main()
