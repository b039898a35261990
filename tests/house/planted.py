# SPDX-License-Identifier: Apache-2.0
"""A small sound tree in a temporary folder, for planting one violation at a time."""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
LAYERS = """# SPDX-License-Identifier: Apache-2.0
[areas.base]
rank = 0
uses = []
packages = ["fmt"]
[areas.text]
rank = 1
uses = ["base"]
packages = ["json"]
[areas.cli]
rank = 10
uses = ["base", "text"]
packages = []
[testing]
uses = ["base"]
packages = ["gtest"]
[headers]
fmt = ["fmt/"]
json = ["nlohmann/"]
gtest = ["gtest/"]
"""
SOUND = {
    "layers.toml": LAYERS,
    ".clang-format": "BasedOnStyle: Google\nColumnLimit: 120\n",
    "src/base/word.h": LICENCE + "#pragma once\n\nint word();\n",
    "src/base/word.cc": LICENCE + '#include "base/word.h"\n\n#include <fmt/format.h>\n\nint word() { return 1; }\n',
    "src/text/detail/inner.h": LICENCE + "#pragma once\n\n#include <string>\n\nstd::string inner();\n",
    "src/text/text.cc": LICENCE + '#include <nlohmann/json.hpp>\n\n#include "base/word.h"\n'
                                  '#include "text/detail/inner.h"\n',
    "src/text/text_test.cc": LICENCE + '#include <gtest/gtest.h>\n\n#include "testing/fake.h"\n',
    "src/testing/fake.h": LICENCE + '#pragma once\n\n#include "base/word.h"\n',
    "src/cli/cli.cc": LICENCE + '#include "base/word.h"\n',
    "tools/setup.sh": "# SPDX-License-Identifier: Apache-2.0\nbase_packages=(\n  libfmt-dev cmake/cmake\n)\n",
    "docs/dependencies.md": "`libfmt-dev`, `cmake`; tools/setup.sh\n",
    "README.md": "[layers](layers.toml)\n\n```sh\ntrue\n```\n",
    "ARCHITECTURE.md": "<!-- picture: begin -->\n<!-- picture: end -->\n",
}


class PlantedCase(unittest.TestCase):
    """self.complaints(check, {path: text}) runs a check on the sound tree with these files changed."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="plait-house-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.plant(SOUND)

    def plant(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def complaints(self, check, files):
        self.plant(files)
        return "\n".join(check(self.root))

    def assert_fails(self, check, files, *, naming):
        """The check is content before the files are planted, and complains about `naming` after."""
        self.assertEqual(check(self.root), [], "the sound tree must pass")
        self.assertIn(naming, self.complaints(check, files))
