# SPDX-License-Identifier: Apache-2.0
"""./run and tools/setup.sh with stand-ins for cmake, ninja, apt and plait, in a folder whose name has spaces."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from planted import ROOT

STAND_INS = {
    # Everything is installed but what the file `missing` names.
    "dpkg-query": 'grep -vxF -f "$FAKE/missing" "$FAKE/packages" | sed "s/$/:installed /" | tr -d "\\n"',
    "apt-get": 'echo "apt-get $*" >> "$FAKE/log"; [ -e "$FAKE/apt-works" ] || exit 100; : > "$FAKE/missing"',
    "sudo": "exit 1",
    "cmake": 'mkdir -p build/release; touch build/release/build.ninja; echo "cmake $*" >> "$FAKE/log"; '
             'echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" > build/release/CMakeCache.txt',
    # Two builds at the same time would find each other's mark.
    "ninja": 'case "$*" in *" -n "*) exit 0 ;; esac; mkdir build/release/mark || exit 1; sleep 0.2; '
             'cp "$FAKE/plait" build/release/plait; rmdir build/release/mark; echo "ninja noise"; '
             'echo "ninja $*" >> "$FAKE/log"; [ ! -e "$FAKE/broken" ] || exit 1',
    "plait": 'case "$1 $2" in "model --help") echo pull; exit ;; '
             '"model pull") echo "pull $3" >> "$FAKE/log"; exit 1 ;; esac; printf "[%s]" "$@"; exit 42',
}


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="plait run with spaces ")
        self.addCleanup(folder.cleanup)
        base = pathlib.Path(folder.name)
        base.chmod(0o755)
        self.tree, self.fake = base / "a tree", base / "fake"
        (self.tree / "tools").mkdir(parents=True)
        self.fake.mkdir()
        shutil.copy(ROOT / "run", self.tree)
        shutil.copy(ROOT / "tools/setup.sh", self.tree / "tools")
        for name, text in STAND_INS.items():
            (self.fake / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (self.fake / name).chmod(0o755)
        script = (ROOT / "tools/setup.sh").read_text(encoding="utf-8")
        groups = re.findall(r"^\w+_packages=\((.*?)\)", script, re.M | re.S)
        names = "\n".join(entry.split("/")[0] for entry in " ".join(groups).split())
        (self.fake / "packages").write_text(names, encoding="utf-8")
        (self.fake / "missing").write_text("", encoding="utf-8")
        (self.fake / "log").write_text("", encoding="utf-8")
        self.environment = {"PATH": f"{self.fake}:/usr/bin:/bin", "FAKE": str(self.fake), "HOME": str(base)}

    def log(self):
        return (self.fake / "log").read_text(encoding="utf-8")

    def start(self, *arguments, command=None, prefix=(), **options):
        return subprocess.Popen([*prefix, command or self.tree / "run", *arguments], env=self.environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def run_once(self, *arguments, **options):
        with self.start(*arguments, **options) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def test_exit_code_arguments_and_stdout_are_plaits(self):
        status, out, err = self.run_once("ask", "two words", "", "*")
        self.assertEqual((status, out), (42, "[ask][two words][][*]"))
        self.assertIn("configuring", err)

    def test_second_run_configures_nothing(self):
        self.run_once("--version")
        self.assertIn("cmake --preset release", self.log())
        (self.fake / "log").write_text("", encoding="utf-8")
        self.run_once("--version")
        self.assertNotIn("cmake", self.log())

    def test_moved_checkout_is_configured_again(self):
        self.run_once("--version")
        moved = self.tree.with_name("another tree")
        self.tree.rename(moved)
        self.tree = moved
        self.assertEqual(self.run_once("--version")[:2], (42, "[--version]"))
        self.assertEqual(self.log().count("cmake"), 2)

    def test_from_anywhere_and_through_a_link(self):
        link = self.fake / "link"
        link.symlink_to(self.tree / "run")
        self.assertEqual(self.run_once("--version", command=link, cwd="/")[:2], (42, "[--version]"))

    def test_without_arguments_it_serves(self):
        self.assertEqual(self.run_once()[1], "[serve]")

    def test_two_at_the_same_time(self):
        both = [self.start("--version"), self.start("--version")]
        results = [process.communicate(timeout=60) + (process.returncode,) for process in both]
        self.assertEqual([result[2] for result in results], [42, 42], results)

    def test_model_is_fetched_only_where_it_is_needed_and_absent(self):
        self.run_once("--version")
        self.assertNotIn("pull", self.log())
        self.assertEqual(self.run_once("ask", "x")[0], 42, "a failed download is plait's to report")
        self.assertIn("pull smollm2-135m", self.log())
        models = self.tree.parent / ".cache/plait/models"
        models.mkdir(parents=True)
        (models / "smollm2-135m.gguf").touch()
        (self.fake / "log").write_text("", encoding="utf-8")
        self.run_once("ask", "x")
        self.assertNotIn("pull", self.log())

    def test_broken_build(self):
        (self.fake / "broken").touch()
        status, out, err = self.run_once("--version")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("the build failed", err)

    def test_missing_package_without_root(self):
        (self.fake / "missing").write_text("libfmt-dev\nzlib1g-dev\n", encoding="utf-8")
        prefix = []
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("no setpriv to become nobody with")
            for path in [self.tree, *self.tree.rglob("*"), self.fake, *self.fake.rglob("*")]:
                os.chown(path, 65534, 65534)
            prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        status, out, err = self.run_once("--version", prefix=prefix)
        self.assertEqual((status, out), (4, ""))
        self.assertIn("sudo apt-get install -y libfmt-dev zlib1g-dev\n", err)
        self.assertNotIn("apt-get", self.log())

    @unittest.skipUnless(os.geteuid() == 0, "not root: nothing is installed")
    def test_missing_package_as_root(self):
        (self.fake / "missing").write_text("libfmt-dev\n", encoding="utf-8")
        status, out, err = self.run_once("--version")
        self.assertEqual((status, out), (4, ""))
        self.assertIn("apt-get update", self.log())
        (self.fake / "apt-works").touch()
        (self.fake / "log").write_text("", encoding="utf-8")
        self.assertEqual(self.run_once("--version")[0], 42)
        self.assertIn("libfmt-dev", self.log())
        self.assertNotIn("update", self.log(), "the package lists are fetched only when installing fails")


if __name__ == "__main__":
    unittest.main()
