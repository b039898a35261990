# SPDX-License-Identifier: Apache-2.0
"""The measurements of bench/live, tiny: that they run, and that counters and replies agree."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from server import PROGRAM, ROOT, default_model

sys.path.insert(0, str(ROOT / "bench/live"))
import figures  # noqa: E402


class LiveTest(unittest.TestCase):
    def measured(self, kind: str) -> dict:
        if not default_model().exists():
            self.skipTest("the default model is not in the cache")
        with tempfile.TemporaryDirectory(prefix="plait-live-") as folder:
            kept = pathlib.Path(folder) / "kept.json"
            done = subprocess.run([sys.executable, ROOT / "bench/live/live.py", kind, "--quick", "--plait", PROGRAM,
                                   "--folder", folder, "--json", kept], capture_output=True, text=True, timeout=240,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("| line | measured | asked | holds |", done.stdout)
            return json.loads(kept.read_text(encoding="utf-8"))[kind]

    def test_paging(self):
        runs = {run["policy"]: run for run in self.measured("paging")["runs"]}
        self.assertGreater(runs["lru"]["evicted_pages"], 0)
        self.assertGreaterEqual(runs["lru"]["computed"], runs["all"]["computed"])
        self.assertGreaterEqual(runs["lru"]["replayed"]["lru"], runs["lru"]["replayed"]["optimum"])

    def test_pte(self):
        trajectories = self.measured("pte")["runs"][0]["trajectories"]
        self.assertEqual(len(trajectories), 12)
        for one in trajectories:
            self.assertEqual(len(one["rounds"]), one["calls"])
            later = [line["cached"] > 0 for line in one["rounds"][1:]]
            self.assertEqual(set(later) - {not one["evicts"]}, set(), one)

    def test_swap(self):
        runs = {run["way"]: run for run in self.measured("swap")["runs"]}
        self.assertEqual(len({(run["turns"], run["tokens"]) for run in runs.values()}), 1)
        self.assertGreater(runs["A"]["swap_out_operations"], runs["A"]["swap_outs"])
        self.assertEqual({way for way, run in runs.items() if run["swap_reused_bytes"] > 0} - {"D"}, set())
        self.assertEqual(runs["R"]["swap_outs"], 0)

    def test_threads(self):
        run = self.measured("threads")["runs"][0]
        self.assertGreater(run["engine_seconds"], run["http_seconds"])
        self.assertGreater(len(run["health"]), 0)
        self.assertEqual(len(run["health"]), len(run["wakings"]))

    def test_telemetry(self):
        runs = {run["arm"]: run for run in self.measured("telemetry")["runs"]}
        self.assertGreaterEqual(runs["with traces"]["spans"], runs["with traces"]["requests"])
        self.assertEqual(runs["without"]["lines"], 0)


class FiguresTest(unittest.TestCase):
    def test_coefficients(self):
        self.assertAlmostEqual(figures.spearman([1, 2, 3, 4], [1, 4, 9, 16]), 1)
        self.assertAlmostEqual(figures.spearman([1, 1, 2], [5, 5, 9]), 1)
        self.assertAlmostEqual(figures.pearson([1, 2, 3], [6, 4, 2]), -1)
        self.assertAlmostEqual(figures.partial([1, 2, 3, 5], [2, 1, 4, 3], [1, -1, -1, 1]), 0.5369, places=3)

    def test_percentile_is_by_nearest_rank(self):
        self.assertEqual([figures.percentile([3, 1, 2], share) for share in (0.01, 0.34, 0.99)], [1, 2, 3])


if __name__ == "__main__":
    unittest.main()
