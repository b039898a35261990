# SPDX-License-Identifier: Apache-2.0
"""tools/tidy.py finds each kind of untidiness when it is planted."""
import unittest

from planted import LICENCE, PlantedCase

import source_files
import tidy

CC = "src/base/word.cc"
HEAD = LICENCE + '#include "base/word.h"\n'


def long_function(lines, head="int f()"):
    return head + " {\n" + "  g();\n" * (lines - 2) + "}\n"


class TidyTest(PlantedCase):
    def test_long_line(self):
        self.assert_fails(tidy.check_lengths, {CC: HEAD + "// " + "x" * 118 + "\n"}, naming=f"{CC}:3: 121 columns")

    def test_long_file_and_header(self):
        self.assert_fails(tidy.check_lengths, {CC: HEAD + "\n" * 599}, naming=f"{CC}: 601 lines")
        self.assertIn("src/base/word.h: 301", self.complaints(tidy.check_lengths,
                                                              {"src/base/word.h": LICENCE + "\n" * 300}))

    def test_long_file_with_a_reason(self):
        text = HEAD + "// size: one table of the Unicode standard\n" + "\n" * 700
        self.assertEqual(self.complaints(tidy.check_lengths, {CC: text}), "")

    def test_long_function(self):
        self.assert_fails(tidy.check_functions, {CC: HEAD + long_function(71)}, naming=f"{CC}:3: a function of 71")
        self.assertEqual(self.complaints(tidy.check_functions, {CC: HEAD + long_function(70)}), "")

    def test_long_python_function(self):
        body = "def f():\n" + "    g()\n" * 70
        self.assert_fails(tidy.check_functions, {"tools/x.py": body}, naming="tools/x.py:1: a function of 71 lines")

    def test_missing_licence(self):
        self.assert_fails(tidy.check_licence, {CC: '#include "base/word.h"\n'}, naming=CC)

    def test_debug_output(self):
        for line in ("std::cout << 1;", "std::cerr << 1;", 'printf("x");', 'fprintf(stderr, "x");', 'std::puts("x");',
                     'fmt::print(stderr, "x");', 'perror("x");'):
            with self.subTest(line):
                self.plant({CC: HEAD})
                self.assert_fails(tidy.check_leftovers, {CC: f"{HEAD}void f() {{ {line} }}\n"}, naming=f"{CC}:3")

    def test_output_that_is_no_debug_output(self):
        text = HEAD + 'void f() { snprintf(b, 2, "x"); log("std::cout"); }  // std::cout\n'
        self.assertEqual(self.complaints(tidy.check_leftovers, {CC: text}), "")

    def test_exit_in_a_library(self):
        self.assert_fails(tidy.check_leftovers, {CC: HEAD + "void f() { std::exit(1); }\n"}, naming="does not end")

    def test_unfinished_work(self):
        for word in ("TO" + "DO", "FIX" + "ME"):
            with self.subTest(word):
                self.plant({CC: HEAD})
                self.assert_fails(tidy.check_leftovers, {CC: f"{HEAD}// {word}: later\n"}, naming=f"{CC}:3: unfinished")

    def test_paths_of_a_machine_and_registries(self):
        for text in ("/ho" + "me/somebody/x", "/wo" + "rk/x", "https://pyp" + "i.org/simple"):
            with self.subTest(text):
                self.plant({"docs/x.md": "fine\n"})
                self.assert_fails(tidy.check_leftovers, {"docs/x.md": text + "\n"}, naming="docs/x.md:1")

    def test_own_header_not_first(self):
        text = LICENCE + '#include <string>\n\n#include "base/word.h"\n'
        self.assert_fails(tidy.check_own_header_first, {CC: text}, naming=CC)

    def test_property_whose_result_is_ignored(self):
        lines = "{ EXPECT_TRUE(\n      rc::check([] {}));\n  rc::check([] {}); }\n"
        self.assert_fails(tidy.check_properties, {CC: HEAD + lines}, naming=f"{CC}:5: a property")

    def test_package_without_a_reason(self):
        self.assert_fails(tidy.check_dependencies, {"docs/dependencies.md": "`libfmt-dev`\n"}, naming="`cmake`")

    def test_dead_header(self):
        self.assert_fails(tidy.check_dead_files, {"src/base/unused.h": LICENCE}, naming="src/base/unused.h: nobody")

    def test_source_that_nobody_builds(self):
        self.assert_fails(tidy.check_dead_files, {"apps/other/main.cc": LICENCE}, naming="apps/other/main.cc: no CMake")

    def test_corpus_without_a_target(self):
        self.assert_fails(tidy.check_dead_files, {"src/text/corpus/json/a": "{}"}, naming="no json_fuzz.cc")

    def test_data_that_nobody_names(self):
        self.assert_fails(tidy.check_dead_files, {"src/text/samples/old.txt": "a"}, naming="samples/old.txt")

    def test_script_that_nobody_mentions(self):
        self.assert_fails(tidy.check_dead_files, {"tools/once.py": "pass\n"}, naming="tools/once.py: nothing mentions")


class FunctionReaderTest(unittest.TestCase):
    def lengths(self, text):
        return [function.lines for function in source_files.functions(text)]

    def test_shapes_of_functions(self):
        cases = {
            "int f() { return 1; }\n": [1],
            "namespace a {\nclass B : public C {\n public:\n  int f() const override {\n    g();\n  }\n};\n}\n": [3],
            "B::B(int x)\n    : a_{x}, b_(x) {\n  g();\n}\n": [4],
            "B::B() : a_(1) {}\n": [1],
            "template <class T>\n  requires (sizeof(T) > 1)\nauto f(T t) -> int {\n  [t] { return 1; }();\n}\n": [5],
            "const std::array<int, 2> kTable = {{\n  1,\n  2,\n}};\nint f() {\n}\n": [2],
            "enum class E : int { a, b };\nstruct S { int x{3}; };\n": [],
            "TEST(Suite, Name) {\n  EXPECT_TRUE(1);\n}\n": [3],
            'const char* k = R"x(\nint f() {\n)x";\nint g() { return \'{\'; }\n': [1],
            "#if A\nint f() {\n#else\nint f(int) {\n#endif\n}\n": [5],
            "bool operator==(const A&, const A&) {\n}\n": [2],
        }
        for text, expected in cases.items():
            with self.subTest(text):
                self.assertEqual(self.lengths(text), expected)


if __name__ == "__main__":
    unittest.main()
