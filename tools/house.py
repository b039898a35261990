#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of the house: each looks at the source tree only and returns its complaints, each with a way to fix it."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import layers  # noqa: E402

ROOT = layers.ROOT

CHECKS = {}


class _CountingResult(unittest.TestResult):
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


def run_unittests(tally, folder: pathlib.Path) -> None:
    """Runs the Python tests below `folder` that the tally wants."""
    if not folder.is_dir():
        return

    def flatten(suite):
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                yield from flatten(item)
            else:
                yield item

    found = unittest.defaultTestLoader.discover(str(folder), pattern="*_test.py", top_level_dir=str(folder))
    chosen = unittest.TestSuite(test for test in flatten(found) if tally.wants(test.id()))
    chosen.run(_CountingResult(tally))


def run_document_blocks(tally, root: pathlib.Path, programs: pathlib.Path) -> None:
    del tally, root, programs
