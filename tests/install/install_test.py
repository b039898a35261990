# SPDX-License-Identifier: Apache-2.0
"""What is installed and packaged, and the unit and the image that come with it. Needs build/release."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import documents  # noqa: E402

BUILD = ROOT / "build/release"
PACKAGING = ROOT / "packaging"
VERSION = re.search(r"project\(plait VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
INSTALLED = {"bin/plait", "bin/plait-lab", "share/doc/plait/LICENSE", "share/doc/plait/README.md",
             "share/doc/plait/docs/server.md", "share/plait/plait.toml", "lib/systemd/system/plait.service",
             "lib/sysusers.d/plait.conf", "lib/tmpfiles.d/plait.conf", "share/bash-completion/completions/plait",
             "share/zsh/vendor-completions/_plait", "share/fish/vendor_completions.d/plait.fish"}


def run(*command, **options) -> str:
    """What it prints. It must succeed."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=300, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout[-3000:]}"
    return done.stdout


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise unittest.SkipTest(f"the program {program} is not installed")


def files_in(folder: pathlib.Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class ProgramCase(unittest.TestCase):
    def assert_works(self, program):
        self.assertEqual(run(program, "--version").strip(), f"plait {VERSION}")
        if not documents.default_model().exists():
            raise unittest.SkipTest("the default model is not in the cache")
        tokens = json.loads(run(program, "tokenize", "--json", "A sentence."))
        self.assertTrue(tokens)
        self.assertTrue(run(program, "ask", "-q", "--max-tokens", "4", "Name a colour.", stdin=subprocess.DEVNULL))


class InstallTest(ProgramCase):
    @classmethod
    def setUpClass(cls):
        if not (BUILD / "plait-lab").exists():
            raise unittest.SkipTest("build/release is not built")
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="plait install ")))
        run("cmake", "--install", BUILD, "--prefix", folder / "first")
        cls.prefix = folder / "moved elsewhere"  # nothing may know where it was put
        (folder / "first").rename(cls.prefix)

    def test_what_is_there(self):
        self.assertEqual(INSTALLED - files_in(self.prefix), set())
        self.assertFalse((self.prefix / "etc").exists())

    def test_it_runs(self):
        self.assert_works(self.prefix / "bin/plait")
        self.assertIn("paging", run(self.prefix / "bin/plait-lab", "list"))

    def test_completion(self):
        script = self.prefix / "share/bash-completion/completions/plait"
        run("bash", "-n", script)
        self.assertIn("tokenize", script.read_text(encoding="utf-8"))

    def test_the_example_settings_are_valid(self):
        shown = run(self.prefix / "bin/plait", "--config", self.prefix / "share/plait/plait.toml", "config", "show",
                    "--json")
        values = {entry["key"]: entry["value"] for entry in json.loads(shown)}
        self.assertEqual(values["cache_dir"], "/var/lib/plait")
        # What is only a hint in a comment must be right, too.
        text = (self.prefix / "share/plait/plait.toml").read_text(encoding="utf-8")
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^# (\w+ = )", r"\1", text))
            file.flush()
            run(self.prefix / "bin/plait", "--config", file.name, "config", "show")


class PackageTest(ProgramCase):
    @classmethod
    def setUpClass(cls):
        need("cpack", "dpkg-deb", "dpkg-shlibdeps")
        if not (BUILD / "plait-lab").exists():
            raise unittest.SkipTest("build/release is not built")
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="plait-package-")))
        run("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", cls.folder)
        cls.package = next(cls.folder.glob("*.deb"))

    def field(self, name):
        return run("dpkg-deb", "-f", self.package, name).strip()

    def test_name_and_dependencies(self):
        self.assertRegex(self.package.name, rf"^plait_{re.escape(VERSION)}_\w+\.deb$")
        self.assertEqual((self.field("Package"), self.field("Version")), ("plait", VERSION))
        for library in ("libc6", "libcurl4", "libssl3", "libstdc++6"):
            self.assertIn(library, self.field("Depends"))
        self.assertEqual(self.field("Section"), "net")

    def test_contents(self):
        listing = run("dpkg-deb", "-c", self.package)
        names = {line.split()[5].removeprefix("./") for line in listing.splitlines() if not line.startswith("d")}
        self.assertEqual({f"usr/{name}" for name in INSTALLED} - names, set())
        self.assertLessEqual({"etc/plait/plait.toml", "etc/logrotate.d/plait", "usr/share/doc/plait/copyright"}, names)
        self.assertEqual({name for name in names if not name.startswith(("usr/", "etc/"))}, set())
        for line in listing.splitlines():
            self.assertIn(" root/root ", line)

    def test_settings_are_the_administrators(self):
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-e", self.package, folder)
            self.assertEqual((pathlib.Path(folder) / "conffiles").read_text(encoding="utf-8").split(),
                             ["/etc/plait/plait.toml", "/etc/logrotate.d/plait"])
            for script in ("postinst", "prerm", "postrm"):
                run("sh", "-n", pathlib.Path(folder) / script)
                self.assertTrue(os.access(pathlib.Path(folder) / script, os.X_OK))

    def test_what_is_unpacked_runs(self):
        run("dpkg-deb", "-x", self.package, self.folder / "tree")
        self.assert_works(self.folder / "tree/usr/bin/plait")

    @unittest.skipUnless(os.geteuid() == 0, "dpkg needs root")
    def test_installed_changed_removed_and_purged(self):
        need("dpkg", "systemd-sysusers", "systemd-tmpfiles")
        tree = self.folder / "root"
        for folder in ("var/lib/dpkg/updates", "var/lib/dpkg/info", "etc"):
            (tree / folder).mkdir(parents=True)
        for name in ("status", "available"):
            (tree / "var/lib/dpkg" / name).touch()
        dpkg = ("dpkg", f"--root={tree}", "--force-script-chrootless", "--force-depends", "--force-not-root")
        run(*dpkg, "-i", self.package)
        self.assertIn("\nplait:x:", "\n" + (tree / "etc/passwd").read_text(encoding="utf-8"))
        self.assertTrue((tree / "var/lib/plait").is_dir())
        run(tree / "usr/bin/plait", "--version")
        settings = tree / "etc/plait/plait.toml"
        settings.write_text("threads = 1\n", encoding="utf-8")
        run(*dpkg, "--force-confold", "-i", self.package)
        self.assertEqual(settings.read_text(encoding="utf-8"), "threads = 1\n")
        run(*dpkg, "-r", "plait")
        self.assertFalse((tree / "usr/bin/plait").exists())
        self.assertTrue(settings.exists() and (tree / "var/lib/plait").exists())
        run(*dpkg, "-P", "plait")
        self.assertFalse((tree / "etc/plait").exists() or (tree / "var/lib/plait").exists())


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.text = (PACKAGING / "plait.service").read_text(encoding="utf-8")

    def value(self, key):
        return re.findall(rf"(?m)^{key}=(.*)$", self.text)

    def test_systemd_accepts_the_unit(self):
        need("systemd-analyze")
        with tempfile.TemporaryDirectory(prefix="plait-unit-") as folder:
            unit = pathlib.Path(folder) / "plait.service"
            unit.write_text(self.text.replace("ExecStart=plait ", "ExecStart=/bin/true "), encoding="utf-8")
            said = run("systemd-analyze", "verify", "--man=no", unit)
        self.assertEqual([line for line in said.splitlines() if "plait.service" in line], [])

    def test_it_may_do_little(self):
        need("systemd-analyze")
        said = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
                   PACKAGING / "plait.service")
        self.assertRegex(said, r"Overall exposure level for plait.service: \d")

    def test_it_waits_for_the_drain(self):
        drain = re.search(r"--drain-seconds (\d+)", self.text)[1]
        self.assertGreater(int(self.value("TimeoutStopSec")[0]), int(drain))
        self.assertEqual((self.value("Type"), self.value("KillSignal")), (["notify"], ["SIGTERM"]))

    def test_memory_is_never_written_and_executed(self):
        """What MemoryDenyWriteExecute= forbids, by the kernel's own switch."""
        if not (BUILD / "plait").exists():
            raise unittest.SkipTest("build/release is not built")
        deny = ("import ctypes, os, sys\n"
                "if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)\n"  # PR_SET_MDWE
                "os.execv(sys.argv[1], sys.argv[1:])")
        asks = ["ask", "-q", "--max-tokens", "2", "Hi"] if documents.default_model().exists() else ["doctor"]
        done = subprocess.run([sys.executable, "-c", deny, BUILD / "plait", *asks], capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, timeout=300)
        if done.returncode == 77:
            raise unittest.SkipTest("the kernel has no PR_SET_MDWE")
        self.assertIn(done.returncode, (0, 1) if asks == ["doctor"] else (0,), done.stderr)


class ContainerTest(unittest.TestCase):
    """Without a container engine: what can be said about the file itself."""

    KNOWN = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
             "ENTRYPOINT", "CMD", "ARG", "LABEL"}

    def setUp(self):
        text = (ROOT / "Containerfile").read_text(encoding="utf-8")
        text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
        self.steps = [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]

    def arguments(self, name):
        return [rest for step, rest in self.steps if step == name]

    def test_instructions(self):
        self.assertEqual({step for step, _ in self.steps} - self.KNOWN, set())
        self.assertEqual(self.steps[0][0], "FROM")
        for command in self.arguments("RUN"):
            run("bash", "-n", "-c", command)
        for words in [*self.arguments("ENTRYPOINT"), *self.arguments("CMD")]:
            self.assertTrue(all(isinstance(word, str) for word in json.loads(words)))
        probe = json.loads(self.arguments("HEALTHCHECK")[0].partition("CMD")[2])
        run("bash", "-n", "-c", probe[2])

    def test_stages(self):
        stages = {rest.split()[-1] for rest in self.arguments("FROM") if " AS " in rest}
        self.assertGreater(len(self.arguments("FROM")), 1)
        for source in self.arguments("COPY"):
            if found := re.match(r"--from=(\S+)", source):
                self.assertIn(found[1], stages)

    def test_it_does_not_run_as_root(self):
        last = max(number for number, (step, _) in enumerate(self.steps) if step == "FROM")
        users = [rest for step, rest in self.steps[last:] if step == "USER"]
        self.assertEqual(users[-1:], ["plait"])

    def test_it_names_the_packages_of_the_build(self):
        """All that tools/setup.sh installs, tests excepted."""
        script = (ROOT / "tools/setup.sh").read_text(encoding="utf-8")
        wanted = {entry.split("/")[0] for entry in re.search(r"base_packages=\((.*?)\)", script, re.S)[1].split()}
        wanted -= {"libgtest-dev", "libgmock-dev", "libbenchmark-dev", "librapidcheck-dev"}
        self.assertEqual(wanted - set(self.arguments("RUN")[0].split()), set())

    def test_an_engine_builds_it(self):
        engine = next((name for name in ("podman", "docker") if shutil.which(name)
                       and subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0), None)
        if engine is None:
            raise unittest.SkipTest("no container engine runs here")
        if os.environ.get("PLAIT_LONG") != "1":
            raise unittest.SkipTest("the image is built by ./test --long only")
        run(engine, "build", "-f", ROOT / "Containerfile", "-t", "plait-test", ROOT)
        self.assertIn(VERSION, run(engine, "run", "--rm", "--entrypoint", "plait", "plait-test", "--version"))


if __name__ == "__main__":
    unittest.main()
