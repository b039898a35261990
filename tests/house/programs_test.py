# SPDX-License-Identifier: Apache-2.0
"""The checks that call other programs: format, headers, blocks of documents; and how results are counted."""
import shutil
import unittest
import unittest.mock

from planted import LICENCE, PlantedCase

import compilers
import documents
import house
import run_tests


class CompilersTest(PlantedCase):
    @unittest.skipUnless(shutil.which(compilers.FORMATTER), "clang-format-19 is not installed")
    def test_format(self):
        self.assert_fails(compilers.check_format, {"src/base/word.cc": LICENCE + "int  word( ){return 1;}\n"},
                          naming="src/base/word.cc: not formatted")
        compilers.fix_format(self.root)
        self.assertEqual(compilers.check_format(self.root), [])

    def test_header_that_needs_another(self):
        self.assert_fails(compilers.check_headers,
                          {"src/testing/fake.h": LICENCE + "#pragma once\n\nstd::string fake();\n"},
                          naming="src/testing/fake.h: does not compile on its own")

    def test_header_broken_by_one_that_it_includes(self):
        self.assert_fails(compilers.check_headers,
                          {"src/base/word.h": LICENCE + "#pragma once\n\nint word(Unknown);\n"},
                          naming="src/testing/fake.h")


class DocumentsTest(PlantedCase):
    def test_block_of_unknown_kind(self):
        self.assert_fails(documents.check_blocks, {"docs/x.md": "```bash\ntrue\n```\n"}, naming="unknown kind 'bash'")

    def test_block_that_does_not_parse(self):
        for kind, text in (("json", "{"), ("toml", "= 1"), ("sh", "if true")):
            with self.subTest(kind):
                self.plant({"docs/x.md": ""})
                self.assert_fails(documents.check_blocks, {"docs/x.md": f"```{kind}\n{text}\n```\n"},
                                  naming="docs/x.md:1")

    def test_dead_link(self):
        self.assert_fails(documents.check_links, {"docs/x.md": "[here](nowhere.md)\n"}, naming="docs/x.md:1")

    def test_block_that_fails_when_run(self):
        self.plant({"README.md": "```sh\nfalse\ntrue\n```\n\n```sh\ntrue\n```\n\n```text\nfalse\n```\n"})
        tally = run_tests.Tally("")
        with unittest.mock.patch("builtins.print"):
            documents.run_blocks(tally, self.root, self.root)
        self.assertEqual((tally.passed, tally.failures), (1, ["docs.README.md:1"]))


class TestFilesTest(unittest.TestCase):
    def test_one_program_loads_them_all_so_no_two_are_named_alike(self):
        names = [path.name for path in (house.ROOT / "tests").rglob("*_test.py")]
        self.assertEqual(sorted(set(names)), sorted(names))


class TallyTest(PlantedCase):
    def finish(self, tally):
        with unittest.mock.patch("builtins.print") as printed:
            status = tally.finish()
        return status, printed.call_args.args[0]

    def test_last_line_and_exit_code(self):
        tally = run_tests.Tally("")
        self.assertEqual(self.finish(tally), (1, "0 passed, 0 failed, 0 skipped"), "nothing ran: not a success")
        tally.passes("a")
        tally.skips("b", "no model")
        self.assertEqual(self.finish(tally), (0, "1 passed, 0 failed, 1 skipped"))
        with unittest.mock.patch("builtins.print"):
            tally.fails("c", "why")
        self.assertEqual(self.finish(tally), (1, "1 passed, 1 failed, 1 skipped"))

    def test_junit(self):
        report = self.root / "junit.xml"
        report.write_text("""<testsuite><testcase name="a" status="run"/>
          <testcase name="b" status="notrun"><skipped message="x"/><system-out>Skipped
no model
</system-out></testcase>
          <testcase name="c" status="fail"><failure message="broken"/></testcase></testsuite>""", encoding="utf-8")
        tally = run_tests.Tally("")
        with unittest.mock.patch("builtins.print"):
            run_tests.count_junit(tally, report)
        self.assertEqual((tally.passed, tally.failures, tally.reasons), (1, ["c"], {"no model": 1}))

    def test_unittests_are_counted(self):
        self.plant({"tests/x/planted_test.py": "import unittest\n\n\nclass X(unittest.TestCase):\n"
                    "    def test_bad(self):\n        self.fail()\n\n"
                    "    def test_good(self):\n        pass\n\n"
                    "    def test_parts(self):\n        for i in range(3):\n"
                    "            with self.subTest(i):\n                self.assertEqual(i, 1)\n\n"
                    "    @unittest.skip('no model')\n    def test_skipped(self):\n        pass\n\n"
                    "    @unittest.expectedFailure\n    def test_known(self):\n        self.fail()\n\n"
                    "    @unittest.expectedFailure\n    def test_mended(self):\n        pass\n"})
        tally = run_tests.Tally("")
        with unittest.mock.patch("builtins.print"):
            house.run_unittests(tally, house.find_unittests(self.root / "tests/x"))
        self.assertEqual((tally.passed, tally.failed, tally.skipped), (1, 4, 2), tally.failures)
        self.assertEqual(house.find_unittests(self.root / "tests/none"), [])


if __name__ == "__main__":
    unittest.main()
