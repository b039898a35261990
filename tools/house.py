# SPDX-License-Identifier: Apache-2.0
"""The checks of the house. Each takes the root of a source tree and returns its complaints and how to fix them."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import compilers  # noqa: E402
import documents  # noqa: E402
import layers  # noqa: E402
import source_files  # noqa: E402
import sync_client  # noqa: E402
import tidy  # noqa: E402
import used_headers  # noqa: E402

ROOT = source_files.ROOT

# Seconds on a whole tree: what tools/check runs before every commit that lands.
QUICK = {
    "layers": layers.check,
    "lengths": tidy.check_lengths,
    "functions": tidy.check_functions,
    "licence": tidy.check_licence,
    "leftovers": tidy.check_leftovers,
    "own_header_first": tidy.check_own_header_first,
    "used_headers": used_headers.check,
    "properties": tidy.check_properties,
    "dependencies": tidy.check_dependencies,
    "blocks": documents.check_blocks,
    "sync_client": sync_client.check,
    "format": compilers.check_format,
}
# What holds for a finished tree, while parts of it may land in between: ./test runs these too.
WHOLE = {
    "dead_files": tidy.check_dead_files,
    "links": documents.check_links,
    "picture": layers.check_picture,
    "headers": compilers.check_headers,
}
CHECKS = QUICK | WHOLE


class _Counting(unittest.TestResult):
    """Hands every result to the tally."""

    def __init__(self, tally):
        super().__init__()
        self.tally = tally

    def addSuccess(self, test):  # noqa: N802
        self.tally.passes(test.id())

    def addFailure(self, test, err):  # noqa: N802
        self.tally.fails(test.id(), self._exc_info_to_string(err, test))

    addError = addFailure  # noqa: N815

    def addSkip(self, test, reason):  # noqa: N802
        self.tally.skips(test.id(), reason)

    def addExpectedFailure(self, test, err):  # noqa: N802
        self.tally.skips(test.id(), "known faults: see @expectedFailure in the tests")

    def addUnexpectedSuccess(self, test):  # noqa: N802
        self.tally.fails(test.id(), "a known fault is gone: take @expectedFailure away")

    def addSubTest(self, test, subtest, err):  # noqa: N802
        if err is not None:  # then addSuccess is not called
            self.addFailure(subtest, err)


def _flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flatten(item)
        else:
            yield item


def find_unittests(folder: pathlib.Path, pattern: str = "*_test.py") -> list[unittest.TestCase]:
    """The Python tests in the files of one folder."""
    if not list(folder.glob(pattern)):
        return []
    return list(_flatten(unittest.TestLoader().discover(str(folder), pattern=pattern, top_level_dir=str(folder))))


def run_unittests(tally, tests: list[unittest.TestCase]) -> None:
    """Runs those that the tally wants."""
    unittest.TestSuite(test for test in tests if tally.wants(test.id())).run(_Counting(tally))
