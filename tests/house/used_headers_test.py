# SPDX-License-Identifier: Apache-2.0
"""An include that only the precompiled headers make up for is missed."""
import unittest

from planted import LICENCE, PlantedCase

import used_headers


class UsedHeadersTest(PlantedCase):
    def test_a_header_that_is_not_included(self):
        self.assert_fails(used_headers.check,
                          {"src/base/word.h": LICENCE + "#pragma once\n\nstd::vector<int> words();\n"},
                          naming="src/base/word.h: uses what <vector> has")

    def test_a_header_that_comes_through_another(self):
        header = LICENCE + "#pragma once\n\n#include <vector>\n\nstd::vector<int> words();\n"
        source = LICENCE + '#include "base/word.h"\n\nstd::vector<int> words() { return {}; }\n'
        self.assertEqual("", self.complaints(used_headers.check, {"src/base/word.h": header,
                                                                  "src/base/word.cc": source}))

    def test_words_of_comments_do_not_count(self):
        header = LICENCE + "#pragma once\n\n// Not a std::vector.\nint word();\n"
        self.assertEqual("", self.complaints(used_headers.check, {"src/base/word.h": header}))


if __name__ == "__main__":
    unittest.main()
