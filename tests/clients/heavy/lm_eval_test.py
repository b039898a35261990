# SPDX-License-Identifier: Apache-2.0
"""EleutherAI's lm-eval, unchanged: its local-completions with the tokenizer of the server."""
import contextlib
import os
import pathlib
import tempfile
import unittest

from server import Server

TASKS = pathlib.Path(__file__).parent / "tasks"

folder = unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="plait-lm-eval-"))
os.environ |= {"HF_HOME": folder, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "NO_PROXY": "127.0.0.1",
               "OPENAI_API_KEY": "none"}
try:
    import lm_eval
    import lm_eval.tasks
except ImportError:
    lm_eval = None

server = None


def setUpModule():  # noqa: N802
    global server
    if lm_eval is not None:
        server = unittest.enterModuleContext(Server("--drain-seconds", "5"))


def run(batch_size, concurrent=1):
    """Scores of both tasks, and for each item what the model said."""
    with contextlib.chdir(TASKS):
        results = lm_eval.simple_evaluate(
            model="local-completions", batch_size=batch_size, bootstrap_iters=0, log_samples=True,
            model_args={"base_url": f"{server.url}/v1/completions", "model": server.name, "max_retries": 1,
                        "num_concurrent": concurrent},
            tasks=["plait_capitals", "plait_counting"],
            task_manager=lm_eval.tasks.TaskManager(include_path=str(TASKS), include_defaults=False))
    answers = {task: sorted((sample["doc_id"], repr(sample["filtered_resps"])) for sample in samples)
               for task, samples in results["samples"].items()}
    scores = {task: {name: value for name, value in metrics.items() if isinstance(value, float)}
              for task, metrics in results["results"].items()}
    return scores, answers


@unittest.skipIf(lm_eval is None, "the package lm-eval is not installed")
class LmEvalTest(unittest.TestCase):
    maxDiff = None

    def test_scores_do_not_depend_on_the_batch(self):
        scores, answers = run(1)
        self.assertEqual((len(answers["plait_capitals"]), len(answers["plait_counting"])), (36, 19))
        self.assertGreater(scores["plait_capitals"]["acc,none"], 0.5, "of four, so 0.25 is chance")
        self.assertGreater(scores["plait_counting"]["exact_match,trimmed"], 0.2)
        for more in ({"batch_size": 16}, {"batch_size": 1, "concurrent": 16}):
            with self.subTest(more):
                self.assertEqual(run(**more), (scores, answers))


if __name__ == "__main__":
    unittest.main()
