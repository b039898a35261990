# SPDX-License-Identifier: Apache-2.0
"""tools/layers.py refuses each kind of include that breaks the table."""
import unittest

from planted import LAYERS, LICENCE, ROOT, PlantedCase

import layers


class LayersTest(PlantedCase):
    def include(self, path, line):
        self.assert_fails(layers.check, {path: f"{LICENCE}{line}\n"}, naming=f"{path}:2")

    def test_area_that_is_not_listed(self):
        self.include("src/base/word.cc", '#include "text/detail/../text.h"')
        self.plant({"src/text/text.h": LICENCE})
        self.assertIn("base does not list text",
                      self.complaints(layers.check, {"src/base/word.cc": LICENCE + '#include "text/text.h"\n'}))

    def test_detail_of_another_area(self):
        self.include("src/cli/cli.cc", '#include "text/detail/inner.h"')

    def test_testing_outside_tests(self):
        self.include("src/cli/cli.cc", '#include "testing/fake.h"')

    def test_package_that_is_not_listed(self):
        self.include("src/cli/cli.cc", "#include <nlohmann/json.hpp>")

    def test_unknown_header(self):
        self.include("src/cli/cli.cc", "#include <windows.h>")

    def test_c_header_where_cpp_has_one(self):
        self.include("src/cli/cli.cc", "#include <stdio.h>")

    def test_missing_file(self):
        self.include("src/cli/cli.cc", '#include "word.h"')

    def test_angle_brackets_for_own_header(self):
        self.include("src/cli/cli.cc", "#include <base/word.h>")

    def test_gtest_outside_tests(self):
        self.include("src/cli/cli.cc", "#include <gtest/gtest.h>")

    def test_include_in_a_comment_is_none(self):
        text = LICENCE + '/*\n#include "testing/fake.h"\n*/\n// #include <windows.h>\n'
        self.assertEqual(self.complaints(layers.check, {"src/cli/cli.cc": text}), "")

    def test_cycle_of_files(self):
        self.assert_fails(layers.check, {
            "src/base/a.h": LICENCE + '#include "base/b.h"\n',
            "src/base/b.h": LICENCE + '#include "base/c.h"\n',
            "src/base/c.h": LICENCE + '#include "base/a.h"\n',
        }, naming="circle: base/a.h -> base/b.h -> base/c.h -> base/a.h")

    def test_rank_that_does_not_fall(self):
        table = LAYERS.replace('rank = 1\nuses = ["base"]', 'rank = 0\nuses = ["base"]')
        self.assert_fails(layers.check, {"layers.toml": table}, naming="text (rank 0) may not use base (rank 0)")

    def test_folder_without_a_line_in_the_table(self):
        self.assert_fails(layers.check, {"src/extra/x.h": LICENCE}, naming="src/extra")

    def test_stale_picture(self):
        self.plant({"ARCHITECTURE.md": layers.drawn(self.root, "<!-- picture: begin -->\n<!-- picture: end -->\n")})
        self.assert_fails(layers.check_picture, {"src/cli/cli.cc": LICENCE}, naming="older than the includes")

    def test_the_real_table_is_sound(self):
        self.assertEqual(layers.check_table(layers.load(ROOT), ROOT), [])


if __name__ == "__main__":
    unittest.main()
